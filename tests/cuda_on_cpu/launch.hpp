// A kernel's launch as a C function that Python calls: arrays lie between pages that nobody may touch, so that the first
// access outside one ends the launch with a sentence.
#pragma once

#include <csignal>
#include <tuple>

#include "ptx.hpp"

namespace on_cpu {

// `pointer` set: `bytes` of an array, copied in and, unless `constant`, out again. Else `value`, `bytes` long.
struct Argument {
    void* pointer;
    const void* value;
    size_t bytes;
    int constant;
};

struct Launch {
    unsigned grid[3], block[3];
    size_t shared_bytes;
    int backwards;
};

constexpr size_t ALIGNMENT = 16;
// What memory that nobody wrote holds: a NaN in every floating type.
constexpr int RUBBISH = 0xff;

// An array whose last byte is followed, after at most 15 bytes that must keep their rubbish, by a forbidden page.
struct Guarded {
    unsigned char *mapped = nullptr, *data = nullptr;
    size_t bytes = 0, pages = 0;

    void map(size_t size) {
        bytes = size;
        pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES;
        void* all = mmap(nullptr, pages + 2 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mapped = static_cast<unsigned char*>(all);
        mprotect(mapped + PAGE_BYTES, pages, PROT_READ | PROT_WRITE);
        std::memset(mapped + PAGE_BYTES, RUBBISH, pages);
        data = mapped + PAGE_BYTES + pages - (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    void forbid_writing() { mprotect(mapped + PAGE_BYTES, pages, PROT_READ); }
    void unmap() {
        if (mapped) munmap(mapped, pages + 2 * PAGE_BYTES);
        mapped = nullptr;
    }
    bool holds(const void* address) const {
        return address >= mapped && address < mapped + pages + 2 * PAGE_BYTES;
    }
    bool margins_kept() const {
        for (unsigned char* at = mapped + PAGE_BYTES; at < mapped + PAGE_BYTES + pages; ++at)
            if ((at < data || at >= data + bytes) && *at != RUBBISH) return false;
        return true;
    }
};

constexpr int MOST_ARGUMENTS = 64;
static Guarded guarded[MOST_ARGUMENTS + 1];
static int guarded_count = 0;

inline void on_signal(int number, siginfo_t* info, void*) {
    char what[256];
    std::snprintf(what, sizeof what, "signal %d at %p (a pointer that belongs to no argument)", number, info->si_addr);
    if (number == SIGILL)
        std::snprintf(what, sizeof what, "undefined behaviour (misaligned access, index past an array, overflow)");
    for (int i = 0; number == SIGSEGV && i < guarded_count; ++i) {
        if (!guarded[i].holds(info->si_addr)) continue;
        const long offset = static_cast<unsigned char*>(info->si_addr) - guarded[i].data;
        const char* name = i == guarded_count - 1 ? "shared memory" : "argument";
        std::snprintf(what, sizeof what, "%s %d of %zu bytes accessed at byte %ld", name, i, guarded[i].bytes, offset);
    }
    fail(what);
}

class Signals {
  public:
    Signals() {
        stack_t alternative = {};
        alternative.ss_sp = memory_;
        alternative.ss_size = sizeof memory_;
        sigaltstack(&alternative, &stack_before_);
        struct sigaction action = {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int i = 0; i < 4; ++i) sigaction(CAUGHT[i], &action, &before_[i]);
    }
    ~Signals() {
        for (int i = 0; i < 4; ++i) sigaction(CAUGHT[i], &before_[i], nullptr);
        sigaltstack(&stack_before_, nullptr);
    }

  private:
    static constexpr int CAUGHT[4] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    alignas(16) static inline char memory_[64 * 1024];
    struct sigaction before_[4];
    stack_t stack_before_;
};

inline void run_grid(const Launch& launch) {
    cta.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
    cta.block = {launch.block[0], launch.block[1], launch.block[2]};
    cta.threads = int(launch.block[0] * launch.block[1] * launch.block[2]);
    for (unsigned z = 0; z < launch.grid[2]; ++z)
        for (unsigned y = 0; y < launch.grid[1]; ++y)
            for (unsigned x = 0; x < launch.grid[0]; ++x) {
                cta.index = {x, y, z};
                std::memset(shared_bytes, RUBBISH, launch.shared_bytes);
                run_cta(launch.backwards);
            }
}

template <typename... Parameters, size_t... I>
const char* run(void (*kernel)(Parameters...), const Launch& launch, Argument* given, int count,
                std::index_sequence<I...>) {
    static_assert(sizeof...(Parameters) <= MOST_ARGUMENTS, "a kernel of fewer parameters");
    constexpr size_t sizes[] = {sizeof(Parameters)..., 0};
    constexpr bool pointers[] = {std::is_pointer_v<Parameters>..., false};
    if (count != int(sizeof...(Parameters))) return "the kernel has another number of parameters";
    std::tuple<std::decay_t<Parameters>...> parameters;
    void* places[] = {&std::get<I>(parameters)..., nullptr};
    Signals signals;
    complaint[0] = 0;
    guarded_count = count + 1;
    for (int i = 0; i < count; ++i) {
        if (pointers[i] != !given[i].value || (!pointers[i] && sizes[i] != given[i].bytes)) {
            std::snprintf(complaint, sizeof complaint, "parameter %d is %s of %zu bytes, another kind of argument was given",
                          i, pointers[i] ? "a pointer" : "a value", sizes[i]);
            return complaint;
        }
    }
    for (int i = 0; i < count; ++i) {
        guarded[i] = {};
        if (!pointers[i]) {
            std::memcpy(places[i], given[i].value, sizes[i]);
            continue;
        }
        if (given[i].pointer) {
            guarded[i].map(given[i].bytes);
            std::memcpy(guarded[i].data, given[i].pointer, given[i].bytes);
            if (given[i].constant) guarded[i].forbid_writing();
        }
        std::memcpy(places[i], &guarded[i].data, sizeof(void*));
    }
    guarded[count].map(launch.shared_bytes);
    shared_bytes = guarded[count].data;

    cta.arguments = &parameters;
    static void (*the_kernel)(Parameters...);
    the_kernel = kernel;
    cta.body = [](void* held) { std::apply(the_kernel, *static_cast<std::tuple<std::decay_t<Parameters>...>*>(held)); };
    if (!sigsetjmp(failure, 1)) run_grid(launch);

    for (int i = 0; i <= count; ++i) {
        if (!guarded[i].mapped) continue;
        if (!complaint[0] && !guarded[i].margins_kept())
            std::snprintf(complaint, sizeof complaint, "the bytes just outside argument %d were written", i);
        if (i < count && !given[i].constant) std::memcpy(given[i].pointer, guarded[i].data, guarded[i].bytes);
        guarded[i].unmap();
    }
    return complaint[0] ? complaint : nullptr;
}

template <typename... Parameters>
const char* run(void (*kernel)(Parameters...), const Launch& launch, Argument* given, int count) {
    return run(kernel, launch, given, count, std::index_sequence_for<Parameters...>());
}

}  // namespace on_cpu

// A C function SYMBOL that launches the kernel of that name expression; it returns a complaint or null.
#define ON_CPU_ENTRY(SYMBOL, ...)                                                                             \
    extern "C" const char* SYMBOL(const on_cpu::Launch* launch, on_cpu::Argument* arguments, int count) {      \
        return on_cpu::run(&__VA_ARGS__, *launch, arguments, count);                                           \
    }
