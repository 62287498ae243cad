/* The floor under any runner: J programs at a time, spawned and reaped, nothing captured, nothing judged.
   usage: limit J FILE      FILE names one program a line. Exits 1 when one could not be run or did not exit 0. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    FILE *list = fopen(argv[2], "r");
    if (!list) { perror(argv[2]); return 2; }
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    int slots = atoi(argv[1]), running = 0, red = 0, more = 1;
    while (more || running) {
        char path[4096];
        while (more && running < slots) {
            if (!(more = fgets(path, sizeof path, list) != NULL)) break;
            path[strcspn(path, "\n")] = 0;
            char *words[] = {path, NULL};
            pid_t pid;
            if (posix_spawn(&pid, path, &quiet, NULL, words, environ)) red = 1;
            else running++;
        }
        int status;
        if (running && wait(&status) > 0) {
            running--;
            if (status) red = 1;
        }
    }
    return red;
}
