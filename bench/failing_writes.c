/* LD_PRELOAD: of the writes to files below the folder FAILING_WRITES_BELOW, and of their syncs, as many of a million
 * fail with EIO as stand in the file FAILING_WRITES. Sockets, pipes and other files are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *rate;
static const char *below;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAILING_WRITES");
    below = getenv("FAILING_WRITES_BELOW");
    int file = name && below ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *seen = mmap(NULL, sizeof *rate, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (seen != MAP_FAILED) rate = seen;
}

static uint64_t chance(void) { /* xorshift64, a state for each thread */
    static __thread uint64_t state;
    if (!state) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        state = (uint64_t)now.tv_nsec * 2654435761u ^ (uint64_t)(uintptr_t)&state ^ (uint64_t)getpid() << 40 | 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int fails(int file) {
    if (!rate || !*rate || chance() % 1000000 >= (uint64_t)*rate) return 0;
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below))) return 0;
    errno = EIO;
    return 1;
}

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name)

ssize_t write(int file, const void *from, size_t count) {
    NEXT(write);
    return fails(file) ? -1 : next(file, from, count);
}

ssize_t pwrite(int file, const void *from, size_t count, off_t at) {
    NEXT(pwrite);
    return fails(file) ? -1 : next(file, from, count, at);
}

ssize_t pwrite64(int file, const void *from, size_t count, off64_t at) {
    NEXT(pwrite64);
    return fails(file) ? -1 : next(file, from, count, at);
}

ssize_t writev(int file, const struct iovec *from, int count) {
    NEXT(writev);
    return fails(file) ? -1 : next(file, from, count);
}

int fsync(int file) {
    NEXT(fsync);
    return fails(file) ? -1 : next(file);
}

int fdatasync(int file) {
    NEXT(fdatasync);
    return fails(file) ? -1 : next(file);
}
