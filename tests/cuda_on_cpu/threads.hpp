// The threads of a CTA as fibers of one CPU thread: each runs until its next barrier. Barriers that some threads never
// reach are an error here where a GPU hangs.
#pragma once

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

namespace on_cpu {

struct Index {
    unsigned x = 0, y = 0, z = 0;
};

constexpr int WARP = 32, MOST_THREADS = 1024;
constexpr size_t PAGE_BYTES = 4096, STACK_BYTES = 64 * 1024;
// What one lane can hand to the others of its warp at once.
constexpr size_t EXCHANGED_BYTES = 64;
// Meetings whose exchanges are kept. Every lane that met has had its turn long before as many more have taken place:
// in each round of turns a thread comes to one meeting at most.
constexpr int MEETINGS = 2 * MOST_THREADS;

// A copy that cp.async promised: done when the thread waits for it, so that whoever forgets to wait reads rubbish.
struct Copy {
    void* to;
    const void* from;
    size_t bytes, zeros;
};

enum class State { READY, AT_CTA_BARRIER, AT_WARP_BARRIER, DONE };

struct Thread {
    jmp_buf context;
    ucontext_t start;
    State state = State::DONE;
    Index index;
    int number = 0;
    unsigned mask = 0;
    unsigned char outgoing[EXCHANGED_BYTES];
    // What the lanes of its last meeting gave, by lane.
    const unsigned char (*incoming)[EXCHANGED_BYTES] = nullptr;
    std::vector<std::vector<Copy>> copies;
};

struct Cta {
    Index index, grid, block;
    int threads = 0, alive = 0, waiting = 0;
    unsigned char exchanged[MEETINGS][WARP][EXCHANGED_BYTES];
    int meetings = 0;
    void (*body)(void*) = nullptr;
    void* arguments = nullptr;
};

static Cta cta;
static Thread all_threads[MOST_THREADS];
static Thread* current = nullptr;
static jmp_buf scheduler;
static sigjmp_buf failure;
static char complaint[512];

// Ends the launch; Python raises the sentence.
[[noreturn]] inline void fail(const char* what) {
    std::snprintf(complaint, sizeof complaint, "%s; thread (%u, %u, %u) of CTA (%u, %u, %u)", what, current->index.x,
                  current->index.y, current->index.z, cta.index.x, cta.index.y, cta.index.z);
    siglongjmp(failure, 1);
}

// Below each stack lies a page that nothing may touch.
inline unsigned char* stack_of(int number) {
    static unsigned char* stacks = nullptr;
    if (!stacks) {
        void* mapped = mmap(nullptr, MOST_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        stacks = static_cast<unsigned char*>(mapped);
        for (int i = 0; i < MOST_THREADS; ++i) mprotect(stacks + i * STACK_BYTES, PAGE_BYTES, PROT_NONE);
    }
    return stacks + number * STACK_BYTES;
}

// Neither switch makes a system call, as swapcontext would.
__attribute__((noinline)) inline void pause() {
    if (!_setjmp(current->context)) _longjmp(scheduler, 1);
}

inline void release_cta() {
    if (cta.waiting == 0 || cta.waiting < cta.alive) return;
    cta.waiting = 0;
    for (int i = 0; i < cta.threads; ++i)
        if (all_threads[i].state == State::AT_CTA_BARRIER) all_threads[i].state = State::READY;
}

inline void cta_barrier() {
    current->state = State::AT_CTA_BARRIER;
    ++cta.waiting;
    release_cta();
    pause();
}

// All lanes of the mask meet; then each finds what the others hand over in its `incoming`.
inline void warp_barrier(unsigned mask) {
    const int first = current->number / WARP * WARP;
    if (!(mask >> (current->number - first) & 1)) fail("a lane meets others under a mask that leaves it out");
    current->state = State::AT_WARP_BARRIER;
    current->mask = mask;
    bool all = true;
    for (int lane = 0; lane < WARP; ++lane) {
        if (!(mask >> lane & 1)) continue;
        if (first + lane >= cta.threads) fail("a mask names lanes that the warp has not");
        const Thread& other = all_threads[first + lane];
        all = all && other.state == State::AT_WARP_BARRIER && other.mask == mask;
    }
    if (all) {
        auto& exchanged = cta.exchanged[cta.meetings++ % MEETINGS];
        for (int lane = 0; lane < WARP; ++lane) {
            if (!(mask >> lane & 1)) continue;
            Thread& other = all_threads[first + lane];
            std::memcpy(exchanged[lane], other.outgoing, EXCHANGED_BYTES);
            other.incoming = exchanged;
            other.state = State::READY;
        }
    }
    pause();
}

// What every lane of the mask gave. Lanes outside the mask hold rubbish.
template <typename T>
struct Exchanged {
    T of(int lane) const {
        T value;
        std::memcpy(&value, current->incoming[lane], sizeof value);
        return value;
    }
};

template <typename T>
inline Exchanged<T> exchange(unsigned mask, const T& mine) {
    static_assert(sizeof(T) <= EXCHANGED_BYTES, "too much for one exchange");
    std::memcpy(current->outgoing, &mine, sizeof mine);
    warp_barrier(mask);
    return {};
}

inline int lane() { return current->number % WARP; }

inline void thread_main() {
    cta.body(cta.arguments);
    current->state = State::DONE;
    --cta.alive;
    release_cta();
    _longjmp(scheduler, 1);
}

inline void start_thread(int number) {
    Thread& thread = all_threads[number];
    thread.state = State::READY;
    thread.number = number;
    const unsigned n = number;
    thread.index = {n % cta.block.x, n / cta.block.x % cta.block.y, n / cta.block.x / cta.block.y};
    thread.copies.assign(1, {});
    getcontext(&thread.start);
    thread.start.uc_stack.ss_sp = stack_of(number) + PAGE_BYTES;
    thread.start.uc_stack.ss_size = STACK_BYTES - PAGE_BYTES;
    thread.start.uc_link = nullptr;
    makecontext(&thread.start, thread_main, 0);
}

// Threads take turns upwards or, `backwards`, downwards: what needs a barrier that is not there differs between the two.
inline void run_cta(bool backwards) {
    bool started[MOST_THREADS] = {};
    cta.alive = cta.threads;
    cta.waiting = 0;
    for (int i = 0; i < cta.threads; ++i) start_thread(i);
    while (cta.alive > 0) {
        bool moved = false;
        for (volatile int turn = 0; turn < cta.threads; turn = turn + 1) {
            const int i = backwards ? cta.threads - 1 - turn : turn;
            if (all_threads[i].state != State::READY) continue;
            moved = true;
            current = &all_threads[i];
            if (_setjmp(scheduler)) continue;
            if (started[i]) _longjmp(current->context, 1);
            started[i] = true;
            setcontext(&current->start);
        }
        if (!moved) {
            for (int i = 0; i < cta.threads; ++i)
                if (all_threads[i].state != State::DONE) current = &all_threads[i];
            fail("threads wait at a barrier that others never reach");
        }
    }
}

}  // namespace on_cpu
