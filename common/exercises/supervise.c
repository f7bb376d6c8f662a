/*
 * supervise [OPTIONS] -- COMMAND [ARGUMENT...]
 *
 * Runs a command that may do anything, in a sandbox, and within limits on all that its processes
 * use together. When it is over, whatever way, none of them lives any more. The last line on stderr
 * says which limit was met.
 *
 *     supervise            waits, and passes on signals and the exit status
 *       monitor            process 1 of the sandbox: watches the limits, ends everything
 *         command          the one that nobody trusts
 *
 * Exit status: the command's, 128 + N when signal N ended it, 124 when a limit did, 125 when there
 * could be no sandbox, 126 or 127 when the command could not be run.
 */
#include "arguments.h"
#include "family.h"
#include "process.h"
#include "procstat.h"
#include "sandbox.h"
#include "stopwatch.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MET_LIMIT = 124, NO_SANDBOX = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127 };
enum { KEPT_MAX = 8, LEAST_PAUSE_MS = 20, GRACE_SECONDS = 10, SPARE_MIB = 64 };

static struct sandbox sandbox = {
    .scratch = "",
    .scratch_mib = 64,
    .scratch_files = 2000,
    .processes = 128,
    .cpu_seconds = 60,
    .file_mib = 32,
    .descriptors = 1024,
};
static long wall_seconds = 60, memory_mib = 1024, output_kib = 256;
static const char *kept[KEPT_MAX + 1]; /* files of the scratch folder that are to outlive it */
static int pass_on = -1;               /* a descriptor that the command gets */
static bool verbose;
static bool lenient;      /* less isolation than there could be is better than none */
static int scratch_below; /* the scratch folder that the sandbox's own is mounted over */

/* The command, as the monitor knows it. */
static struct {
    pid_t pid;
    int output; /* what it writes comes out here; -1 once it has closed it */
    long written;
    int64_t began;
} command;

/* ---- limits ---- */

static char reason[160]; /* why the command was stopped; empty as long as it was not */

static bool met(const char *what, long limit, const char *unit)
{
    snprintf(reason, sizeof(reason), "%s %ld %s, the limit", what, limit, unit);
    return true;
}

static long walked_blocks, walked_files;
static bool walked_all;

static int walk(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)path, (void)place;
    if (type == FTW_DNR) /* it has taken away its user's right to read */
        walked_all = false;
    walked_blocks += status->st_blocks;
    return ++walked_files > sandbox.scratch_files;
}

/* The folder is a file system of its own in the sandbox; else it is counted file by file. */
static bool scratch_is_full(void)
{
    struct statvfs space;

    if (sandbox.isolation != NO_NAMESPACES) {
        if (statvfs(sandbox.scratch, &space) == -1)
            return false;
        if (space.f_bfree == 0)
            return met("it filled its folder with", sandbox.scratch_mib, "MiB");
        return space.f_ffree == 0 && met("it made", sandbox.scratch_files, "files");
    }
    walked_blocks = walked_files = 0;
    walked_all = true;
    nftw(sandbox.scratch, walk, 16, FTW_PHYS | FTW_MOUNT);
    if (!walked_all) {
        snprintf(reason, sizeof(reason), "it made a folder that cannot be looked into");
        return true;
    }
    if (walked_files > sandbox.scratch_files)
        return met("it made", sandbox.scratch_files, "files");
    return walked_blocks / 2048 >= sandbox.scratch_mib &&
           met("it filled its folder with", sandbox.scratch_mib, "MiB");
}

/* What is missed by the other limits, such as memory that is a file and nobody's. */
static bool machine_is_full(void)
{
    char text[512];
    struct statvfs disk;
    int meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t length = meminfo == -1 ? -1 : read(meminfo, text, sizeof(text) - 1);

    if (meminfo != -1)
        close(meminfo);
    text[length < 0 ? 0 : length] = '\0';
    const char *available = strstr(text, "MemAvailable:");
    if (available && strtol(available + strlen("MemAvailable:"), NULL, 10) / 1024 < SPARE_MIB)
        return met("it left the machine less memory than", SPARE_MIB, "MiB");
    return sandbox.isolation == NO_NAMESPACES && statvfs("/tmp", &disk) == 0 &&
           disk.f_bavail / 1024 * disk.f_frsize / 1024 < SPARE_MIB &&
           met("it left the disk less space than", SPARE_MIB, "MiB");
}

static bool cpu_time_is_used(const struct family *family)
{
    return family->cpu_seconds >= sandbox.cpu_seconds &&
           met("it used", sandbox.cpu_seconds, "seconds of CPU time");
}

static bool limit_met(void)
{
    struct family family = family_survey();

    if (family.processes >= sandbox.processes)
        return met("it had", sandbox.processes, "processes");
    if (family.memory_mib >= memory_mib)
        return met("it used", memory_mib, "MiB of memory");
    if (cpu_time_is_used(&family))
        return true;
    if (command.written >= output_kib * 1024)
        return met("it wrote", output_kib, "KiB of output");
    if ((now_ns() - command.began) / 1000000000 >= wall_seconds)
        return met("it ran for", wall_seconds, "seconds");
    return scratch_is_full() || machine_is_full();
}

/* ---- the monitor ---- */

/* Passes on what the command has written since. */
static void pass_output(void)
{
    char buffer[16 * 1024];
    ssize_t length = -1;

    while (command.output != -1 && command.written < output_kib * 1024 &&
           (length = read(command.output, buffer, sizeof(buffer))) > 0) {
        command.written += length;
        for (ssize_t done = 0, more = 1; done < length && more > 0; done += more)
            more = write(STDOUT_FILENO, buffer + done, (size_t)(length - done));
    }
    if (command.output != -1 && length == 0) {
        close(command.output);
        command.output = -1;
    }
}

/* Copies a file out of the sandbox's scratch folder to the one below. */
static int keep(const char *name)
{
    char path[4096];
    struct stat status;
    ssize_t length = -1;

    snprintf(path, sizeof(path), "%s/%s", sandbox.scratch, name);
    int from = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from == -1)
        return errno == ENOENT ? 0 : -1;
    int to =
        openat(scratch_below, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755);
    if (to != -1 && fstat(from, &status) == 0 && S_ISREG(status.st_mode)) {
        static char buffer[64 * 1024];
        while ((length = read(from, buffer, sizeof(buffer))) > 0)
            if (write(to, buffer, (size_t)length) != length)
                break;
    }
    close(from);
    if (to != -1)
        close(to);
    return length == 0 ? 0 : -1;
}

/* In the new process: becomes the command. */
static _Noreturn void command_become(char **words, int output)
{
    sigset_t none;

    if (sandbox_confine(&sandbox) == -1)
        err(NO_SANDBOX, "cannot confine the command");
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3); /* if exec fails, it is we who say so */
    if (null == -1 || said == -1 || dup2(null, STDIN_FILENO) == -1 ||
        dup2(output, STDOUT_FILENO) == -1 || dup2(output, STDERR_FILENO) == -1)
        err(NO_SANDBOX, "cannot redirect the command");
    if (pass_on != -1)
        fcntl(pass_on, F_SETFD, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(words[0], words);
    int error = errno;
    dup2(said, STDERR_FILENO);
    errno = error;
    err(error == ENOENT ? NOT_FOUND : CANNOT_EXECUTE, "%s", words[0]);
}

static void command_start(char **words)
{
    int output[2];

    if (pipe2(output, O_CLOEXEC) == -1)
        err(NO_SANDBOX, "pipe");
    command.began = now_ns();
    command.pid = fork();
    if (command.pid == -1)
        err(NO_SANDBOX, "fork");
    if (command.pid == 0)
        command_become(words, output[1]);
    close(output[1]);
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    command.output = output[0];
}

/* Watches the command until it ends, meets a limit, or `control` is at end-of-file: then supervise
 * has gone, or wants us to stop. Returns the command's status as waitpid gives it. */
static int command_watch(int control, int signals)
{
    int64_t look_at = 0;
    int status = 0;
    bool ended = false;

    while (!ended && !*reason) {
        struct pollfd waits[] = {{.fd = command.output, .events = POLLIN},
                                 {.fd = signals, .events = POLLIN},
                                 {.fd = control, .events = POLLIN}};

        poll(waits, 3, LEAST_PAUSE_MS);
        while (signals_next(signals) != 0)
            ; /* SIGCHLD, that is: the others come from inside, and are nothing to us */
        pass_output();
        for (pid_t child = 1; !ended && child > 0;) {
            child = waitpid(-1, &status, WNOHANG);
            ended = child == command.pid;
        }
        if (waits[2].revents)
            snprintf(reason, sizeof(reason), "it was interrupted");
        if (ended || *reason || now_ns() < look_at)
            continue;
        clock_t used = clock();
        limit_met();
        /* To look costs CPU time as well: of all there is at most a twentieth. */
        long pause_ms = 20 * (clock() - used) / (CLOCKS_PER_SEC / 1000);
        look_at = now_ns() + (pause_ms > LEAST_PAUSE_MS ? pause_ms : LEAST_PAUSE_MS) * 1000000LL;
    }
    if (ended && status != 0)
        scratch_is_full(); /* which may be why */
    return status;
}

/* Runs the command to its end. Returns what is to be the exit status. */
static int monitor(char **words, int control, int signals)
{
    command_start(words);
    int status = command_watch(control, signals);
    family_end(sandbox.user);
    pass_output();

    struct family ended = family_survey(); /* a command may be over before anybody looks */
    if (!*reason)
        cpu_time_is_used(&ended);
    if (!*reason && command.written >= output_kib * 1024)
        met("it wrote", output_kib, "KiB of output");
    if (*reason) {
        warnx("stopped: %s", reason);
        return MET_LIMIT;
    }
    for (const char **name = kept; *name; name++)
        if (sandbox.isolation != NO_NAMESPACES && keep(*name) == -1)
            err(NO_SANDBOX, "cannot keep %s", *name);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- supervise ---- */

/* Starts the monitor, as well separated as the kernel allows. */
static pid_t monitor_start(char **words, int control[2], int signals)
{
    int ready[2];
    char said;

    for (; sandbox.isolation < ISOLATIONS; sandbox.isolation++) {
        if (pipe2(ready, O_CLOEXEC) == -1)
            err(NO_SANDBOX, "pipe");
        pid_t child = sandbox_fork(&sandbox);
        if (child == 0) {
            setsid(); /* Ctrl-C is for supervise */
            close(control[1]);
            if (sandbox_furnish(&sandbox) == -1) {
                if (verbose || !lenient)
                    warn("no namespaces, or not all of them");
                _exit(NO_SANDBOX);
            }
            /* The command can neither trace us nor open what we have open, as the same user. */
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
            family_begin();
            if (write(ready[1], "", 1) != 1)
                _exit(NO_SANDBOX);
            close(ready[1]);
            _exit(monitor(words, control[0], signals));
        }
        if (child == -1 && (verbose || !lenient))
            warn("no namespaces, or not all of them");
        close(ready[1]);
        ssize_t length = child == -1 ? 0 : read(ready[0], &said, 1);
        close(ready[0]);
        if (length == 1)
            return child;
        if (child != -1)
            waitpid(child, NULL, 0);
        if (!lenient)
            break;
    }
    errx(NO_SANDBOX, lenient ? "cannot start the monitor" : "not run without them; -u would");
}

/* Waits for the monitor, and has it end when a signal asks for that. Returns the exit status. */
static int watch_monitor(pid_t child, int control, int signals)
{
    int64_t end = now_ns() + (wall_seconds + GRACE_SECONDS) * 1000000000;
    int status, interrupted = 0;
    bool late = false;

    while (waitpid(child, &status, WNOHANG) == 0) {
        poll(&(struct pollfd){.fd = signals, .events = POLLIN}, 1, 1000);
        /* A signalfd that is inherited gives each process its own signals: these are ours. */
        for (int received; (received = signals_next(signals)) != 0;) {
            if (received == SIGCHLD || interrupted)
                continue;
            interrupted = received;
            close(control);
            end = now_ns() + GRACE_SECONDS * 1000000000LL;
        }
        /* Without namespaces the command can stop it. It may also be late by itself: among
         * hundreds of processes that want a processor, or with output that nobody takes. */
        if (now_ns() > end) {
            struct procstat monitor;
            late = procstat_read(child, &monitor) && !strchr("Tt", monitor.state);
            kill(child, SIGKILL);
            end = INT64_MAX; /* a second look would be at one that dies */
        }
    }
    if (WIFSIGNALED(status)) {
        family_end(sandbox.user);
        if (!late)
            snprintf(reason, sizeof(reason), "it killed or stopped what watched it");
        else if (interrupted)
            snprintf(reason, sizeof(reason), "it was interrupted");
        else
            met("it ran for", wall_seconds, "seconds");
        warnx("stopped: %s", reason);
    }
    if (interrupted)
        return 128 + interrupted;
    return WIFSIGNALED(status) ? MET_LIMIT : WEXITSTATUS(status);
}

static const struct {
    char letter;
    long *value;
    const char *unit, *what;
} numbers[] = {
    {'t', &wall_seconds, "SECONDS", "how long it may run"},
    {'c', &sandbox.cpu_seconds, "SECONDS", "CPU time of all its processes"},
    {'p', &sandbox.processes, "NUMBER", "processes and threads at a time"},
    {'m', &memory_mib, "MIB", "memory of all its processes"},
    {'s', &sandbox.scratch_mib, "MIB", "what fits into its scratch folder"},
    {'f', &sandbox.file_mib, "MIB", "size of a file"},
    {'d', &sandbox.descriptors, "NUMBER", "open descriptors of a process"},
    {'o', &output_kib, "KIB", "output"},
};
enum { NUMBERS = sizeof(numbers) / sizeof(*numbers) };

static _Noreturn void usage(FILE *out, int status)
{
    fprintf(out,
            "usage: %s -w FOLDER [OPTIONS] -- COMMAND [ARGUMENT...]\n"
            "  -w FOLDER   the command's scratch folder, the only one that it can write to\n"
            "  -k NAME     keep this file of it; all others are lost\n"
            "  -y FOLDER   let it read this folder, besides the system's programs\n",
            program_invocation_short_name);
    for (int i = 0; i < NUMBERS; i++)
        fprintf(out, "  -%c %-7s  %s (%ld)\n", numbers[i].letter, numbers[i].unit, numbers[i].what,
                *numbers[i].value);
    fputs("  -r NUMBER   pass this open descriptor on to the command\n"
          "  -u          go on, with less, where the kernel gives not all namespaces\n"
          "  -n          use no namespaces\n"
          "  -v          say what separates the command from the rest of the machine\n"
          "  -h          print this\n",
          out);
    exit(status);
}

static void append(const char **list, int max, const char *text)
{
    int count = 0;

    while (list[count])
        count++;
    if (count == max)
        errx(2, "%s: more than %d of this kind", text, max);
    list[count] = text;
}

static const char *absolute(const char *path)
{
    const char *found = realpath(path, NULL);

    if (!found)
        err(NO_SANDBOX, "%s", path);
    return found;
}

static long number(int option)
{
    int64_t value;

    if (!parse_number(optarg, 1, 1000000, &value))
        errx(2, "-%c %s: not a number from 1 to 1000000", option, optarg);
    return (long)value;
}

static char **read_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "+w:s:k:y:t:c:p:m:f:d:o:r:unvh")) != -1) {
        switch (option) {
        case 'w':
            sandbox.scratch = optarg;
            break;
        case 'k':
            append(kept, KEPT_MAX, optarg);
            break;
        case 'y':
            append(sandbox.shown, SHOWN_MAX, absolute(optarg));
            break;
        case 'r':
            pass_on = (int)number(option);
            break;
        case 'u':
            lenient = true;
            break;
        case 'n':
            sandbox.isolation = NO_NAMESPACES;
            break;
        case 'v':
            verbose = true;
            break;
        case 'h':
            usage(stdout, EXIT_SUCCESS);
        case '?': /* getopt has said what is wrong */
            usage(stderr, 2);
        default:
            for (int i = 0; i < NUMBERS; i++)
                if (numbers[i].letter == option)
                    *numbers[i].value = number(option);
        }
    }
    if (!*sandbox.scratch || optind == argc) {
        warnx(*sandbox.scratch ? "no command" : "-w is missing");
        usage(stderr, 2);
    }
    return argv + optind;
}

int main(int argc, char **argv)
{
    char **words = read_options(argc, argv);
    int control[2];

    scratch_below = open(sandbox.scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scratch_below == -1)
        err(NO_SANDBOX, "-w %s", sandbox.scratch);
    if (sandbox_user(&sandbox) == -1)
        err(NO_SANDBOX, "cannot give away %s", sandbox.scratch);
    sandbox.scratch =
        absolute(sandbox.scratch); /* the command's working directory will be another */

    /* When whoever started us goes, so do we, and with us the rest. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    family_begin();
    signal(SIGPIPE, SIG_IGN);
    int signals = signals_open(SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0);
    if (signals == -1 || pipe2(control, O_CLOEXEC) == -1)
        err(NO_SANDBOX, "cannot start");
    pid_t child = monitor_start(words, control, signals);
    if (verbose)
        warnx("%s%s", sandbox_told(&sandbox), sandbox.user ? ", another user" : "");
    close(control[0]);

    return watch_monitor(child, control[1], signals);
}
