"""Recording a profile: :mod:`.client` asks for it in this process, :mod:`.job` and :mod:`.logs` work in the worker."""
