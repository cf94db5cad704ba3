/* Faults of the operating system for one process: a wall clock that is wrong, a disk that is full.
 *
 * Loaded with LD_PRELOAD. TEST_FAULTS names a file that holds struct faults; whoever writes it changes the
 * process while it runs. The monotonic clock stays right, as it does when an administrator sets the clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
    int64_t clock_offset; /* seconds added to the wall clock */
    int64_t disk_full;    /* whether files below the directory can't grow */
    char directory[240];
};

static const volatile struct faults *faults;

__attribute__((constructor)) static void map_faults(void)
{
    const char *path = getenv("TEST_FAULTS");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct faults), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        faults = mapped;
}

static int64_t offset(void)
{
    return faults ? faults->clock_offset : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

static int is_full(int file)
{
    char link[40], path[4096];
    if (!faults || !faults->disk_full)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    const char *directory = (const char *)faults->directory;
    return !strncmp(path, directory, strlen(directory));
}

static ssize_t refused(void)
{
    errno = ENOSPC;
    return -1;
}

#define NEXT(type, name) \
    static type next; \
    if (!next) \
        next = (type)dlsym(RTLD_NEXT, name)

typedef ssize_t (*write_call)(int, const void *, size_t);
typedef ssize_t (*pwrite_call)(int, const void *, size_t, off64_t);
typedef ssize_t (*writev_call)(int, const struct iovec *, int);
typedef int (*truncate_call)(int, off64_t);
typedef int (*allocate_call)(int, off64_t, off64_t);

ssize_t write(int file, const void *data, size_t size)
{
    NEXT(write_call, "write");
    return is_full(file) ? refused() : next(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    NEXT(pwrite_call, "pwrite64");
    return is_full(file) ? refused() : next(file, data, size, at);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at)
{
    NEXT(pwrite_call, "pwrite64");
    return is_full(file) ? refused() : next(file, data, size, at);
}

ssize_t writev(int file, const struct iovec *pieces, int count)
{
    NEXT(writev_call, "writev");
    return is_full(file) ? refused() : next(file, pieces, count);
}

int ftruncate64(int file, off64_t size)
{
    NEXT(truncate_call, "ftruncate64");
    /* Shrinking needs no room. */
    return size > 0 && is_full(file) ? (int)refused() : next(file, size);
}

int ftruncate(int file, off_t size)
{
    return ftruncate64(file, size);
}

int posix_fallocate64(int file, off64_t start, off64_t size)
{
    NEXT(allocate_call, "posix_fallocate64");
    return is_full(file) ? ENOSPC : next(file, start, size);
}

int posix_fallocate(int file, off_t start, off_t size)
{
    return posix_fallocate64(file, start, size);
}
