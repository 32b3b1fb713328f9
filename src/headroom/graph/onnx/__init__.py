"""The ONNX reader. A stranger's file is read in a capped child process; see ``client.py``."""
