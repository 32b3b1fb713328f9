// The process that measures, and a hold on it from the one that watches. The latter never touches CUDA, so that a plan
// that aborts or hangs costs that plan.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "messages.hpp"

namespace travel {

// How a process ended that was waited for in vain.
inline const std::string kNoEnd = "it did not end in time";

class Child {
 public:
  // Runs work in a process of its own; what it writes to the file descriptor comes back as messages.
  explicit Child(const std::function<void(int pipe)>& work);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();  // ends the process

  // The next message; none when the process has ended or said nothing for so long, which ends it.
  std::optional<Message> next(double patience_s);
  // How it ended, in words: after next() came back empty.
  std::string ending();

 private:
  int pipe_ = -1;
  int process_ = -1;
  std::string unread_;
  bool timed_out_ = false;
};

void send(int pipe, const Message& message);

}  // namespace travel
