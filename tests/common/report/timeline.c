/*
 * Test of common/report/timeline.py: what it makes of events that this test has written, in the
 * layout of trace.h; and whether it finds all it needs in traces of the real servers.
 */
#include "support.h"

#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 100 };

static struct {
    _Atomic uint64_t count; /* as in struct trace */
    struct trace_event events[ROOM];
} written;

static char folder[64];
static struct output output;

static int set_up(void **state)
{
    (void)state;
    memset(&written, 0, sizeof(written));
    strcpy(folder, "/tmp/timeline-test-XXXXXX");
    setenv("BUILD", built(""), 1);
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1); /* behind trace.so will do as well */
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    output_free(&output);
    output = run("/bin/rm", "-r", folder, NULL);
    output_free(&output);
    return 0;
}

/* Adds an event. Times are in µs. */
static struct trace_event *event(int begin, int end, pid_t pid, const char *call, int descriptor,
                                 int result)
{
    struct trace_event *next = &written.events[written.count++];

    *next = (struct trace_event){.begin = begin * 1000L,
                                 .end = end * 1000L,
                                 .pid = pid,
                                 .descriptor = descriptor,
                                 .other = -1,
                                 .result = result};
    snprintf(next->call, sizeof(next->call), "%s", call);
    return next;
}

/* The same for a call by which a connection comes or goes. */
static void passing(int begin, int end, pid_t pid, const char *call, int descriptor, int other,
                    uint64_t socket)
{
    struct trace_event *next =
        event(begin, end, pid, call, descriptor, strcmp(call, "accept4") == 0 ? other : 1);

    next->other = other;
    next->socket = socket;
}

/* Runs a script that has read the events into `trace`, and gives what it prints. */
static char *python(const char *script)
{
    static char code[8192];
    char path[128];

    snprintf(path, sizeof(path), "%s/trace", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(&written, sizeof(written), 1, file), 1);
    fclose(file);
    snprintf(code, sizeof(code),
             "import pathlib, shutil, sys\n"
             "sys.path.insert(0, '%s')\n"
             "import gnuplot, paths, program, registry, timeline\n"
             "folder = pathlib.Path('%s')\n"
             "trace = (folder / 'trace').read_bytes()\n"
             "def bars(connections, workers):\n"
             "    for bar in timeline.bars(connections, workers):\n"
             "        print(*bar[:2], bar.begin // 1000, bar.end // 1000, *bar[4:], sep='|')\n"
             "%s",
             source("common/report"), folder, script);
    output_free(&output);
    output = run("/usr/bin/env", "python3", "-B", "-c", code, NULL);
    if (output.status != 0)
        fail_msg("%s", output.err);
    return output.out;
}

/* ---- from events to bars ---- */

enum { MASTER = 100, LISTENER = 3, SIGNALS = 4 };

/* A connection of chapter 1, accepted at `start`. */
static void forked(int start, pid_t child, int reaped)
{
    passing(start, start + 2, MASTER, "accept4", LISTENER, 5, (uint64_t)start + 1);
    event(start + 3, start + 10, MASTER, "fork", -1, child);
    event(start + 11, start + 12, MASTER, "close", 5, 0);
    event(start + 3, start + 14, child, "fork", -1, 0);
    event(start + 15, start + 16, child, "close", LISTENER, 0);
    event(start + 20, start + 21, child, "recv", 5, 64);
    event(start + 22, start + 25, child, "send", 5, 64);
    event(start + 25, start + 30, child, "recv", 5, 0);
    event(start + 31, start + 32, child, "close", 5, 0);
    event(start + 33, start + 33, child, "exit", -1, 0);
    event(reaped, reaped + 1, MASTER, "waitpid", -1, child);
}

static void forked_connections_become_bars_in_as_many_rows_as_children_live(void **state)
{
    (void)state;
    forked(0, 201, 62);
    event(41, 42, MASTER, "accept4", LISTENER, -1); /* the client had gone */
    forked(13, 202, 50);
    event(55, 59, MASTER, "read", SIGNALS, 128);
    forked(60, 203, 100); /* at that moment the first has gone, too */
    event(101, 110, MASTER, "select", -1, 1);
    assert_string_equal(python("bars(timeline.connections(timeline.read(trace)), [])"),
                        "0|waits|0|101|0|master|exists|100|-1\n"
                        "0|accept|0|2|1|master|accept4|100|5\n"
                        "0|fork|3|10|1|master|fork|100|5\n"
                        "0|close|11|12|1|master|close|100|5\n"
                        "0|exit|62|63|1|master|waitpid|100|5\n"
                        "1|waits|3|63|1|child 1|exists|201|5\n"
                        "1|fork, under way|3|14|1|child 1|fork|201|5\n"
                        "1|fork|14|20|1|child 1|begins|201|5\n"
                        "1|echo|20|25|1|child 1|recv, send|201|5\n"
                        "1|close|31|32|1|child 1|close|201|5\n"
                        "1|exit, under way|33|63|1|child 1|exit|201|5\n"
                        "0|accept|13|15|2|master|accept4|100|5\n"
                        "0|fork|16|23|2|master|fork|100|5\n"
                        "0|close|24|25|2|master|close|100|5\n"
                        "0|exit|50|51|2|master|waitpid|100|5\n"
                        "2|waits|16|51|2|child 2|exists|202|5\n"
                        "2|fork, under way|16|27|2|child 2|fork|202|5\n"
                        "2|fork|27|33|2|child 2|begins|202|5\n"
                        "2|echo|33|38|2|child 2|recv, send|202|5\n"
                        "2|close|44|45|2|child 2|close|202|5\n"
                        "2|exit, under way|46|51|2|child 2|exit|202|5\n"
                        "0|accept|60|62|3|master|accept4|100|5\n"
                        "0|fork|63|70|3|master|fork|100|5\n"
                        "0|close|71|72|3|master|close|100|5\n"
                        "0|exit|100|101|3|master|waitpid|100|5\n"
                        "1|waits|63|101|3|child 3|exists|203|5\n"
                        "1|fork, under way|63|74|3|child 3|fork|203|5\n"
                        "1|fork|74|80|3|child 3|begins|203|5\n"
                        "1|echo|80|85|3|child 3|recv, send|203|5\n"
                        "1|close|91|92|3|child 3|close|203|5\n"
                        "1|exit, under way|93|101|3|child 3|exit|203|5\n");
}

/*
 * Two connections, accepted as 9 and 10, the second of which is the first to be handed over. They
 * are served by workers 301 and 302, which had been waiting in recvmsg since before they came.
 */
static void write_handed_over(void)
{
    event(1, 2, 301, "close", 6, 0); /* before, when the worker was a shell */
    passing(10, 12, MASTER, "accept4", LISTENER, 9, 77);
    passing(13, 14, MASTER, "accept4", LISTENER, 10, 78);
    passing(15, 20, MASTER, "sendmsg", 8, 10, 78);
    event(20, 21, MASTER, "close", 10, 0);
    event(21, 22, MASTER, "select", -1, 1);
    passing(25, 30, MASTER, "sendmsg", 7, 9, 77);
    event(30, 31, MASTER, "close", 9, 0);
    passing(5, 33, 302, "recvmsg", 4, 6, 78);
    event(34, 35, 302, "recv", 6, 64);
    event(35, 37, 302, "send", 6, 64);
    event(37, 40, 302, "recv", 6, 0);
    event(40, 42, 302, "close", 6, 0);
    event(43, 44, 302, "send", 4, 1);
    passing(3, 36, 301, "recvmsg", 4, 5, 77);
    event(37, 38, 301, "recv", 5, 60); /* the message in two parts */
    event(38, 39, 301, "send", 5, 60);
    event(41, 42, 301, "recv", 5, 4);
    event(42, 43, 301, "send", 5, 4);
    event(43, 44, 301, "recv", 5, 0);
    event(45, 47, 301, "close", 5, 0);
    event(46, 47, MASTER, "read", 8, 1);
    event(48, 49, 301, "send", 4, 1);
    event(52, 53, MASTER, "read", 7, 1);
}

static void connections_that_travel_are_found_in_the_worker_by_their_socket(void **state)
{
    (void)state;
    write_handed_over();
    assert_string_equal(python("bars(timeline.connections(timeline.read(trace)), [301, 302])"),
                        "0|waits|10|53|0|master|exists|100|-1\n"
                        "1|waits|10|53|0|worker 1|exists|301|-1\n"
                        "2|waits|10|53|0|worker 2|exists|302|-1\n"
                        "0|accept|10|12|1|master|accept4|100|9\n"
                        "0|hand-over|25|30|1|master|sendmsg|100|9\n"
                        "0|close|30|31|1|master|close|100|9\n"
                        "0|hand-over|52|53|1|master|read|100|9\n"
                        "1|hand-over, under way|25|36|1|worker 1|sendmsg|301|5\n"
                        "1|hand-over|36|37|1|worker 1|begins|301|5\n"
                        "1|echo|37|43|1|worker 1|recv, send|301|5\n"
                        "1|close|45|47|1|worker 1|close|301|5\n"
                        "1|hand-over|48|49|1|worker 1|report|301|5\n"
                        "0|accept|13|14|2|master|accept4|100|10\n"
                        "0|hand-over|15|20|2|master|sendmsg|100|10\n"
                        "0|close|20|21|2|master|close|100|10\n"
                        "0|hand-over|46|47|2|master|read|100|10\n"
                        "2|hand-over, under way|15|33|2|worker 2|sendmsg|302|6\n"
                        "2|hand-over|33|34|2|worker 2|begins|302|6\n"
                        "2|echo|34|37|2|worker 2|recv, send|302|6\n"
                        "2|close|40|42|2|worker 2|close|302|6\n"
                        "2|hand-over|43|44|2|worker 2|report|302|6\n");
}

/* A letter is 1 µs here: what is drawn can be compared with the bars above. */
static void on_the_terminal_a_line_for_each_process_says_the_same(void **state)
{
    (void)state;
    write_handed_over();
    char *out = python("server = timeline.Server.__new__(timeline.Server)\n"
                       "server.name, server.workers = '04', [301, 302]\n"
                       "server.first, server.acceptor = 'master', None\n"
                       "server.bursts = [timeline.connections(timeline.read(trace))]\n"
                       "timeline.textplot.room = lambda: 43 + 14\n"
                       "print(timeline.text_bars([server], 0.043))\n");
    assert_string_equal(
        out, "20 connections, from the first accept until the last echo\n"
             "  A accept   H hand-over   E echo   C close   - under way   . waits\n"
             "\n"
             "  0.0 ms  4 prefork, select: the processes are there already\n"
             "    master  AA.A.HHHHHC....HHHHHC...............H.....H\n"
             "  worker 1  ...............-----------HEEEEEE..CC.H....\n"
             "  worker 2  .....------------------HEEE...CC.H.........\n"
             "           ++---------+---------+---------+---------+--\n"
             "            0       0.01      0.02      0.03      0.04\n"
             "            ms since the first accept; each letter is 1 µs, and says one of the\n"
             "            things done then\n"
             "            H hand-over: the first row gives a connection away, or reads a\n"
             "            report; a worker takes it, or reports\n");
}

/* Of a server with these workers and this acceptor, None where there is none. */
static char *said_of_hand_over(const char *workers, const char *acceptor)
{
    char script[512];

    snprintf(script, sizeof(script),
             "server = timeline.Server.__new__(timeline.Server)\n"
             "server.workers, acceptor = %s, %s\n"
             "server.bursts = [timeline.connections(timeline.read(trace), "
             "server.workers if acceptor else (), acceptor)]\n"
             "print(timeline.both_sides([server]))\n",
             workers, acceptor);
    return python(script);
}

enum { ACCEPTOR = 200, QUEUE = 8, TAKEN = 6 };

/*
 * Two connections that an acceptor puts into a queue: it waits in accept for the second. Worker 302
 * reports, since this is its first one.
 */
static void write_queued(void)
{
    passing(10, 12, ACCEPTOR, "accept4", LISTENER, 9, 77);
    passing(13, 16, ACCEPTOR, "sendmsg", QUEUE, 9, 77);
    event(17, 18, ACCEPTOR, "close", 9, 0);
    passing(2, 20, 302, "recvmsg", 7, 3, 77);
    event(21, 22, 302, "recv", 3, 64);
    event(23, 24, 302, "send", 3, 64);
    event(25, 26, 302, "close", 3, 0);
    event(27, 28, 302, "send", 7, 1);
    passing(19, 30, ACCEPTOR, "accept4", LISTENER, 9, 78);
    passing(31, 32, ACCEPTOR, "sendmsg", QUEUE, 9, 78);
    passing(3, 33, 301, "recvmsg", 7, 4, 78);
    event(34, 35, ACCEPTOR, "close", 9, 0);
    event(34, 36, 301, "recv", 4, 64);
    event(36, 37, 301, "send", 4, 64);
    event(39, 40, 301, "close", 4, 0);
}

static void what_comes_through_a_queue_is_of_who_accepts_and_who_takes(void **state)
{
    (void)state;
    write_queued();
    assert_string_equal(
        python("found = timeline.connections(timeline.read(trace), [301, 302], 200)\n"
               "assert {(c.done, c.leave) for c in found} == {(None, None)}\n"
               "for bar in timeline.bars(found, [301, 302], 'acceptor'):\n"
               "    print(*bar[:2], bar.begin // 1000, bar.end // 1000, *bar[4:], sep='|')\n"),
        "0|waits|10|40|0|acceptor|exists|200|-1\n"
        "1|waits|10|40|0|worker 1|exists|301|-1\n"
        "2|waits|10|40|0|worker 2|exists|302|-1\n"
        "0|accept|10|12|1|acceptor|accept4|200|9\n"
        "0|hand-over|13|16|1|acceptor|sendmsg|200|9\n"
        "0|close|17|18|1|acceptor|close|200|9\n"
        "2|hand-over, under way|13|20|1|worker 2|sendmsg|302|3\n"
        "2|hand-over|20|21|1|worker 2|begins|302|3\n"
        "2|echo|21|24|1|worker 2|recv, send|302|3\n"
        "2|close|25|26|1|worker 2|close|302|3\n"
        "0|accept|28|30|2|acceptor|accept4|200|9\n" /* as long as the other; before, it waited */
        "0|hand-over|31|32|2|acceptor|sendmsg|200|9\n"
        "0|close|34|35|2|acceptor|close|200|9\n"
        "1|hand-over, under way|31|33|2|worker 1|sendmsg|301|4\n"
        "1|hand-over|33|34|2|worker 1|begins|301|4\n"
        "1|echo|34|37|2|worker 1|recv, send|301|4\n"
        "1|close|39|40|2|worker 1|close|301|4\n");
}

static void only_where_workers_report_a_hand_over_is_said_to_be_a_report(void **state)
{
    (void)state;
    write_queued();
    assert_string_equal(said_of_hand_over("[301, 302]", "200"),
                        "['H hand-over: the first row gives a connection away; "
                        "a worker takes it']\n");
    assert_string_equal(said_of_hand_over("[]", "None"), "[]\n"); /* forked */
}

static void a_number_that_travels_is_found_by_the_socket_that_is_copied(void **state)
{
    (void)state;
    passing(10, 12, ACCEPTOR, "accept4", LISTENER, 9, 77);
    event(13, 16, ACCEPTOR, "send", QUEUE, 16);
    event(2, 17, 301, "recv", 7, 16);
    passing(17, 18, 301, "pidfd_getfd", 5, 4, 77);
    event(19, 20, 301, "write", TAKEN, 4);
    event(21, 22, 301, "recv", 4, 64);
    event(22, 23, 301, "send", 4, 64);
    event(24, 25, 301, "close", 4, 0);
    event(90, 91, ACCEPTOR, "close", 9, 0); /* its copy, when it looks after them */
    assert_string_equal(
        python("found = timeline.connections(timeline.read(trace), [301], 200)\n"
               "for bar in timeline.bars(found, [301], 'acceptor'):\n"
               "    print(*bar[:2], bar.begin // 1000, bar.end // 1000, *bar[4:], sep='|')\n"),
        "0|waits|10|25|0|acceptor|exists|200|-1\n"
        "1|waits|10|25|0|worker 1|exists|301|-1\n"
        "0|accept|10|12|1|acceptor|accept4|200|9\n"
        "0|hand-over|13|16|1|acceptor|send|200|9\n"
        "1|hand-over, under way|13|18|1|worker 1|send|301|4\n"
        "1|hand-over|18|21|1|worker 1|begins|301|4\n"
        "1|echo|21|23|1|worker 1|recv, send|301|4\n"
        "1|close|24|25|1|worker 1|close|301|4\n");
}

static void a_connection_that_is_not_over_is_none(void **state)
{
    const char *script =
        "print([c and c.take.pid for c in timeline.connections(timeline.read(trace))])";

    (void)state;
    write_handed_over();
    written.count--; /* the master has not read the report of 301 */
    assert_string_equal(python(script), "[None, 302]\n");
    written.count--; /* nor has 301 sent it */
    assert_string_equal(python(script), "[None, 302]\n");
    written.count = 8; /* the second has been sent, and nobody has received anything */
    assert_string_equal(python(script), "[None, None]\n");
    written.count = 1;
    assert_string_equal(python(script), "[]\n");
}

static void events_are_read_in_the_order_of_their_ends_without_the_incomplete(void **state)
{
    (void)state;
    event(5, 9, 1, "close", 3, 0);
    event(5, 0, 2, "close", 3, 0); /* its process was killed while it wrote */
    event(7, 8, 3, "recvmsg", 3, -1)->error = 104;
    assert_string_equal(
        python(
            "print(timeline.read(trace), timeline.read(trace, 2)[0].pid, timeline.count(trace))"),
        "[Event(begin=7000, end=8000, socket=0, pid=3, descriptor=3, other=-1, result=-1, "
        "error=104, call='recvmsg'), "
        "Event(begin=5000, end=9000, socket=0, pid=1, descriptor=3, other=-1, result=0, "
        "error=0, call='close')] 3 (3, 0)\n");
    written.count = ROOM + 7;
    assert_string_equal(python("print(timeline.count(trace))"), "(100, 7)\n");
}

static void the_burst_that_is_drawn_is_longer_than_a_quarter_of_them(void **state)
{
    (void)state;
    /* Each lasts 25 µs, from accept to echo, and one to four more. */
    for (int i = 0; i < 4; i++) {
        forked(200 * i, 200 + i, 200 * i + 50);
        written.events[11 * i + 6].end += 1000 * (4 - i);
    }
    assert_string_equal(
        python("server = timeline.Server.__new__(timeline.Server)\n"
               "server.bursts = [[c] for c in timeline.connections(timeline.read(trace))]\n"
               "print(list(map(timeline.length, server.bursts)))\n"
               "print([server.quartile(i)[0].take.pid for i in range(4)])"),
        "[29000, 28000, 27000, 26000]\n[203, 202, 201, 200]\n");
}

/* ---- with the real servers ---- */

static void every_server_that_hands_connections_on_can_be_traced(void **state)
{
    (void)state;
    python(
        "timeline.WARM_UP, timeline.BURSTS = 0, 2\n"
        "can = {name: server.can for name, server in registry.servers().items()}\n"
        "for server in timeline.trace([name for name in can if 'accept' not in can[name]]):\n"
        "    fresh = 'rest=0' in can[server.name]\n" /* a process for each connection */
        "    assert len(server.workers) == (0 if fresh else timeline.WORKERS)\n"
        "    assert len(server.bursts) == 2\n"
        "    for burst in server.bursts:\n"
        "        assert len(burst) == 20\n"
        "        for c in burst:\n"
        "            assert c.accept.pid == (server.acceptor or server.process.pid)\n"
        "            assert (c.done is None) == (c.leave is None) == ('queue' in "
        "can[server.name])\n"
        "            assert c.take.pid in server.workers or fresh\n"
        "            times = [c.accept.begin, c.give.begin, c.take.end, c.recv.begin, c.send.end,\n"
        "                     c.close.begin, *([c.leave.begin, c.done.end] if c.done else [])]\n"
        "            assert times == sorted(times), times\n"
        "        rows = {bar.row for bar in timeline.bars(burst, server.workers)}\n"
        "        assert rows <= set(range(timeline.WORKERS + 1)), rows\n");
}

/* The whole program, with results in a folder of their own; without gnuplot, without pictures. */
static void table_bars_and_pictures_are_written(void **state)
{
    (void)state;
    char *out = python(
        "import os\n"
        "os.environ['MINE'] = str(folder)\n" /* nothing of the reader's is taken over meanwhile */
        "timeline.WARM_UP, timeline.BURSTS, paths.RESULTS = 0, 3, folder / 'results'\n"
        "found = shutil.which('gnuplot')\n"
        "if not found:\n"
        "    gnuplot.draw = lambda *_, **__: None\n"
        "for arguments in [], ['04']:\n"
        "    sys.argv = ['timeline.py', *arguments]\n"
        "    timeline.main()\n"
        "for name in 'timeline', 'timeline-04':\n"
        "    lines = (paths.RESULTS / f'{name}.tsv').read_text().splitlines()\n"
        "    assert lines[0].startswith('# machine: '), lines[0]\n"
        "    bars = [line.split('\\t') for line in lines if not line.startswith('#')]\n"
        "    assert bars[0] == ['panel', 'row', 'kind', 'begin_us', 'end_us', 'connection', "
        "'process', 'what',\n"
        "                       'pid', 'descriptor', 'server'], bars[0]\n"
        "    assert {bar[-1] for bar in bars[1:]} == ({'04'} if '-' in name else {'01', '04', "
        "'07'})\n"
        "    assert {bar[5] for bar in bars[1:]} == set(map(str, range(21)))\n"
        "    assert all(float(bar[3]) <= float(bar[4]) for bar in bars[1:])\n"
        "    assert (paths.RESULTS / f'{name}.table.tsv').exists()\n"
        "    if found:\n"
        "        assert (paths.RESULTS / f'{name}.svg').read_text().rstrip().endswith('</svg>')\n"
        "        assert (paths.RESULTS / f'{name}.png').read_bytes().startswith(b'\\x89PNG')\n");
    assert_non_null(strstr(out, "from accept to echo"));
}

static void a_trace_that_is_full_is_an_error(void **state)
{
    (void)state;
    char *out = python("timeline.ROOM = 4096\n"
                       "try:\n"
                       "    timeline.trace(['04'])\n"
                       "except program.Failure as failure:\n"
                       "    print(failure)");
    assert_non_null(strstr(out, "chapter 04: the trace has "));
    assert_non_null(strstr(out, "events found no room in it"));
    assert_null(strstr(out, " 0 events found"));
}

static void a_load_that_fails_is_an_error_with_its_reason(void **state)
{
    (void)state;
    char *out = python("paths.LOAD = '/bin/cat'\n"
                       "try:\n"
                       "    timeline.trace(['04'])\n"
                       "except program.Failure as failure:\n"
                       "    print(failure)");
    assert_int_equal(strncmp(out, "chapter 04: /bin/cat: ", 22), 0);
    assert_int_equal(strcspn(out, "\n"), strlen(out) - 1);
}

static void a_chapter_without_a_server_is_one_clear_line(void **state)
{
    const char *const wrong[] = {"02", "99", "", "04 05"};
    char expected[128];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        output = run(source("common/report/timeline.py"), wrong[i], NULL);
        int length = snprintf(expected, sizeof(expected),
                              "timeline.py: \"%s\" has no server; say one of: 01 04 ", wrong[i]);
        assert_int_equal(strncmp(output.err, expected, (size_t)length), 0);
        assert_int_equal(strcspn(output.err, "\n"), strlen(output.err) - 1);
        assert_string_equal(output.out, "");
        assert_int_equal(output.status, 1);
        output_free(&output);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forked_connections_become_bars_in_as_many_rows_as_children_live),
        TEST(connections_that_travel_are_found_in_the_worker_by_their_socket),
        TEST(on_the_terminal_a_line_for_each_process_says_the_same),
        TEST(what_comes_through_a_queue_is_of_who_accepts_and_who_takes),
        TEST(only_where_workers_report_a_hand_over_is_said_to_be_a_report),
        TEST(a_number_that_travels_is_found_by_the_socket_that_is_copied),
        TEST(a_connection_that_is_not_over_is_none),
        TEST(events_are_read_in_the_order_of_their_ends_without_the_incomplete),
        TEST(the_burst_that_is_drawn_is_longer_than_a_quarter_of_them),
        TEST(every_server_that_hands_connections_on_can_be_traced),
        TEST(table_bars_and_pictures_are_written),
        TEST(a_trace_that_is_full_is_an_error),
        TEST(a_load_that_fails_is_an_error_with_its_reason),
        TEST(a_chapter_without_a_server_is_one_clear_line),
    };

    return run_chosen(tests);
}
