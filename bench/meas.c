/* Runs a command and writes what it cost: wall seconds, CPU seconds, peak RSS in KiB, exit code.
   usage: meas OUT COMMAND...
   A launcher of a few pages, because Linux carries the peak RSS of whoever forks over into the child: started from
   Python, every command would seem to need as much memory as the measurement. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    struct timespec began, ended;
    struct rusage used;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t pid = vfork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid) return 2;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    FILE *out = fopen(argv[1], "w");
    if (!out) return 2;
    fprintf(out, "%.6f %.6f %ld %d\n", (ended.tv_sec - began.tv_sec) + (ended.tv_nsec - began.tv_nsec) / 1e9,
            seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return fclose(out) != 0;
}
