#include "child.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace travel {

Child::Child(const std::function<void(int)>& work) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error("no pipe can be made");
  process_ = fork();
  if (process_ < 0) throw std::runtime_error("no process can be started");
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left behind where the parent is killed
    close(ends[0]);
    dup2(STDERR_FILENO, STDOUT_FILENO);  // what a library prints is no result
    work(ends[1]);
    std::_Exit(0);  // destroying CUDA's context in order is worth nothing here
  }
  close(ends[1]);
  pipe_ = ends[0];
}

Child::~Child() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  if (pipe_ >= 0) close(pipe_);
}

std::optional<Message> Child::next(double patience_s) {
  while (true) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      const auto message = parsed(unread_.substr(0, end));
      unread_.erase(0, end + 1);
      if (message) return message;
      continue;
    }
    pollfd waiting{pipe_, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(1000.0 * patience_s));
    if (ready < 0 && errno == EINTR) continue;
    timed_out_ = ready == 0;
    std::array<char, 65536> bytes{};
    const ssize_t count = ready > 0 ? read(pipe_, bytes.data(), bytes.size()) : 0;
    if (count <= 0) return std::nullopt;
    unread_.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

std::string Child::ending() {
  if (timed_out_) kill(process_, SIGKILL);
  int status = 0;
  waitpid(process_, &status, 0);
  process_ = -1;
  if (timed_out_) return kNoEnd;
  if (WIFSIGNALED(status)) return "it ended the process by signal " + std::to_string(WTERMSIG(status));
  return "it ended the process with code " + std::to_string(WEXITSTATUS(status));
}

void send(int pipe, const Message& message) {
  const std::string text = written(message);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = write(pipe, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) std::_Exit(4);  // nobody listens any more
    if (count > 0) done += static_cast<std::size_t>(count);
  }
}

}  // namespace travel
