/*
 * soak: very many connections through one server, with workers killed and clients resetting at
 * random. Every byte is compared (by the load generator); at the end no descriptor, no zombie and
 * no memory must have been added since the first tenth.
 *
 * SOAK is the number of connections (1000000), SEED repeats the choices of another run.
 */
#include "subject.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WORKERS = 8,
    CLIENTS = 8,
    BATCHES = 10,
    MEMORY_SLACK_KIB =
        256, /* what stdio, the stack and the heap may settle at later than batch 1 */
};

static uint64_t random_state;

static unsigned choose(unsigned below) /* splitmix64 */
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (unsigned)((z ^ (z >> 31)) % below);
}

/* Connects and resets: at once, in the middle of a request, or in the middle of a reply. */
static void reset_somewhere(const struct server *server)
{
    static char bytes[256 * 1024];
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (try_connect(connection, server) == -1) { /* to a listener that went down with its worker */
        assert_true(subject->deals);
        close(connection);
        return;
    }
    switch (choose(3)) {
    case 0:
        break;
    case 1:
        send(connection, bytes, 1 + choose(100), MSG_NOSIGNAL);
        break;
    case 2:
        send(connection, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    }
    reset(connection);
}

static bool kill_somebody(const struct server *server)
{
    pid_t workers[WORKERS];
    int count = workers_of(server->pid, workers, WORKERS);

    if (count > WORKERS)
        count = WORKERS;
    return count > 0 && kill(workers[choose((unsigned)count)], SIGKILL) == 0;
}

static bool has_all_workers_asleep(void *server)
{
    pid_t pid = ((struct server *)server)->pid, workers[WORKERS + 1];
    int count = workers_of(pid, workers, WORKERS + 1);

    for (int i = 0; i < count && i < WORKERS; i++)
        if (process_state(workers[i]) != 'S')
            return false;
    return count == WORKERS && process_state(pid) == 'S';
}

static long resident_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = -1;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Rss: %ld", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

static void show_progress(int batch, time_t begin)
{
    if (!isatty(STDERR_FILENO))
        return;
    long left = batch ? (time(NULL) - begin) * (BATCHES - batch) / batch : 0;
    fprintf(stderr, "\r\033[K");
    if (batch < BATCHES)
        fprintf(stderr, "[%.*s%.*s] %ld s left", 3 * batch, "##############################",
                3 * (BATCHES - batch), "..............................", left);
}

static void soak(void **state)
{
    long total = (long)number_from("SOAK", "how many connections", LONG_MAX, 1000000),
         connections = 0, lost = 0, killed = 0, resets = 0;
    long seed = 0, first_kib = 0, last_kib = 0;
    int first_descriptors = 0;
    time_t begin = time(NULL);

    (void)state;
    assert_true(getrandom(&seed, 4, 0) == 4);
    seed = (long)number_from("SEED", "a number from 1 up", LONG_MAX, seed);
    random_state = (uint64_t)seed;
    print_message("# chapter %s: %ld connections, SEED=%ld\n", subject->name, total, seed);

    struct server server = start_workers(WORKERS);
    for (int batch = 0; batch < BATCHES; batch++) {
        show_progress(batch, begin);
        struct load load = load_start(&server, CLIENTS, (int)(total / BATCHES));
        long killed_before = killed;
        while (process_state(load.pid) != 'Z') {
            if (choose(10) == 0)
                killed += kill_somebody(&server);
            else
                reset_somewhere(&server), resets++;
            nanosleep(&(struct timespec){.tv_nsec = 1000000L * (1 + choose(20))}, NULL);
        }
        struct load_result result = load_finish(&load);
        connections += result.connections;
        lost += result.connections - result.ok;
        long most = (killed - killed_before) * (subject->deals ? CLIENTS : 1);
        assert_in_range(result.connections - result.ok, 0, most);

        int held[WORKERS];
        hold_workers(&server, held, WORKERS); /* there are as many now, whatever is at rest */
        assert_true(wait_until(has_all_workers_asleep, &server)); /* so there are no zombies */
        last_kib = resident_kib(server.pid);
        if (batch == 0) {
            first_kib = last_kib;
            first_descriptors = descriptors_of(server.pid);
        }
        assert_int_equal(descriptors_of(server.pid), first_descriptors);
        for (int i = 0; i < WORKERS; i++)
            close(held[i]);
    }
    show_progress(BATCHES, begin);
    print_message("# %ld connections, %ld resets, %ld workers killed, %ld connections lost with "
                  "them; the master has %d descriptors and %ld KiB, %+ld since the first tenth\n",
                  connections, resets, killed, lost, first_descriptors, last_kib,
                  last_kib - first_kib);
    assert_true(last_kib <= first_kib + MEMORY_SLACK_KIB);
    assert_int_equal(server_stop(&server), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(soak)};

    (void)argc;
    alarm(0); /* bounded by SOAK, not by time */
    subject_find(argv[0]);
    return run_chosen(tests);
}
