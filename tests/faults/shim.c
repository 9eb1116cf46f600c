/* Faults for tests, put between a process and the C library with LD_PRELOAD.
 *
 * Every call of the kinds below on a file under one folder is counted; from call number AT on, TIMES calls fail with an
 * errno, or the process ends itself with SIGKILL. So each place where a disk can fail or a machine can stop is reached,
 * one after another, without luck. What the C library does inside of itself (the flush of a FILE) is not seen; the full
 * disk is tested with a real one, too.
 *
 * RSCCLI_FAULT_UNDER   folder, absolute, without links
 * RSCCLI_FAULT_KINDS   letters: o open to write, r read, w write, s fsync, n rename, u unlink and rmdir, m mkdir,
 *                      t truncate, l lock, x stat; default: all but r and x
 * RSCCLI_FAULT_AT      1 for the first call; absent: nothing fails, calls are only counted
 * RSCCLI_FAULT_TIMES   how many calls fail; default 1
 * RSCCLI_FAULT_ERRNO   a number; absent: a signal
 * RSCCLI_FAULT_SIGNAL  its number; default 9, the call itself then goes on after any other
 * RSCCLI_FAULT_COUNT   file that gets the number of calls
 * RSCCLI_FAULT_CLOCK   seconds: the wall clock jumps forward and back by that much, and as much to the other side
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char under[PATH_MAX], kinds[32];
static size_t under_length;
static long at, times, number, sent, count, jump, asked;
static int count_file = -1;

void rsccli_fault_load(void) {
    const char *value = getenv("RSCCLI_FAULT_UNDER");
    under_length = value ? strlen(value) : 0;
    if (under_length >= sizeof under) abort();
    if (value) strcpy(under, value);
    value = getenv("RSCCLI_FAULT_KINDS");
    strncpy(kinds, value ? value : "owsnumtl", sizeof kinds - 1);
    value = getenv("RSCCLI_FAULT_AT");
    at = value ? atol(value) : 0;
    value = getenv("RSCCLI_FAULT_TIMES");
    times = value ? atol(value) : 1;
    value = getenv("RSCCLI_FAULT_ERRNO");
    number = value ? atol(value) : 0;
    value = getenv("RSCCLI_FAULT_SIGNAL");
    sent = value ? atol(value) : SIGKILL;
    value = getenv("RSCCLI_FAULT_CLOCK");
    jump = value ? atol(value) : 0;
    value = getenv("RSCCLI_FAULT_COUNT");
    count_file = value ? (int)syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    count = asked = 0;
}

__attribute__((constructor)) static void begin(void) { rsccli_fault_load(); }

static int is_under(const char *path) {
    char here[PATH_MAX];
    if (!under_length || !path) return 0;
    if (path[0] != '/') { /* relative: of the current folder */
        if (!getcwd(here, sizeof here)) return 0;
        size_t length = strlen(here);
        if (length + 1 + strlen(path) >= sizeof here) return 0;
        here[length] = '/';
        strcpy(here + length + 1, path);
        path = here;
    }
    return strncmp(path, under, under_length) == 0 && (path[under_length] == '/' || path[under_length] == 0);
}

static int is_open_under(int file) {
    char name[64], path[PATH_MAX];
    if (!under_length || file < 0) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_under(path);
}

/* Whether this call is to fail; errno is set. */
static int fails(char kind, int ours) {
    if (!ours || !strchr(kinds, kind)) return 0;
    long call = __sync_add_and_fetch(&count, 1);
    if (count_file >= 0) {
        char text[32];
        int length = snprintf(text, sizeof text, "%ld\n", call);
        syscall(SYS_pwrite64, count_file, text, (size_t)length, 0L);
    }
    if (!at || call < at || call >= at + times) return 0;
    if (!number) {
        kill(getpid(), (int)sent);
        while (sent == SIGKILL) pause();
        return 0;
    }
    errno = (int)number;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))

#define OPEN(name)                                                                 \
    int name(const char *path, int flags, ...) {                                   \
        va_list more;                                                              \
        va_start(more, flags);                                                     \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;  \
        va_end(more);                                                              \
        if (WRITES(flags) && fails('o', is_under(path))) return -1;                \
        return REAL(name)(path, flags, mode);                                      \
    }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                              \
    FILE *name(const char *path, const char *mode) {                                             \
        if ((strchr(mode, 'w') || strchr(mode, '+') || strchr(mode, 'a')) && fails('o', is_under(path))) return NULL; \
        return REAL(name)(path, mode);                                                           \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int file, const void *from, size_t size) {
    if (fails('w', is_open_under(file))) return -1;
    return REAL(write)(file, from, size);
}
size_t fwrite(const void *from, size_t size, size_t items, FILE *file) {
    if (fails('w', is_open_under(fileno(file)))) return 0;
    return REAL(fwrite)(from, size, items, file);
}
ssize_t read(int file, void *to, size_t size) {
    if (fails('r', is_open_under(file))) return -1;
    return REAL(read)(file, to, size);
}
ssize_t pread64(int file, void *to, size_t size, off64_t from) {
    if (fails('r', is_open_under(file))) return -1;
    return REAL(pread64)(file, to, size, from);
}
size_t fread(void *to, size_t size, size_t items, FILE *file) {
    if (fails('r', is_open_under(fileno(file)))) return 0;
    return REAL(fread)(to, size, items, file);
}
int fsync(int file) { return fails('s', is_open_under(file)) ? -1 : REAL(fsync)(file); }
int flock(int file, int operation) { return fails('l', is_open_under(file)) ? -1 : REAL(flock)(file, operation); }
int ftruncate64(int file, off64_t size) { return fails('t', is_open_under(file)) ? -1 : REAL(ftruncate64)(file, size); }
int rename(const char *from, const char *to) { return fails('n', is_under(to)) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) { return fails('u', is_under(path)) ? -1 : REAL(unlink)(path); }
int rmdir(const char *path) { return fails('u', is_under(path)) ? -1 : REAL(rmdir)(path); }
int mkdir(const char *path, mode_t mode) { return fails('m', is_under(path)) ? -1 : REAL(mkdir)(path, mode); }
int unlinkat(int folder, const char *path, int flags) {
    /* shutil.rmtree names entries within an open folder. */
    if (fails('u', folder == AT_FDCWD || path[0] == '/' ? is_under(path) : is_open_under(folder))) return -1;
    return REAL(unlinkat)(folder, path, flags);
}
int stat64(const char *path, struct stat64 *told) { return fails('x', is_under(path)) ? -1 : REAL(stat64)(path, told); }
int stat(const char *path, struct stat *told) { return fails('x', is_under(path)) ? -1 : REAL(stat)(path, told); }

/* Thirty calls of the true time, thirty ahead, thirty behind, and so on. */
static long shifted(void) {
    if (!jump) return 0;
    long turn = __sync_fetch_and_add(&asked, 1) / 30 % 3;
    return turn == 1 ? jump : turn == 2 ? -jump : 0;
}
int clock_gettime(clockid_t clock, struct timespec *told) {
    int failed = (int)syscall(SYS_clock_gettime, clock, told);
    if (!failed && clock == CLOCK_REALTIME) told->tv_sec += shifted();
    return failed;
}
int gettimeofday(struct timeval *restrict told, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}
