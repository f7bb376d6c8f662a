#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static uid_t outer_user; /* who we were before we had a user namespace */
static gid_t outer_group;

int sandbox_user(struct sandbox *sandbox)
{
    if (geteuid() != 0)
        return 0;
    /* Far from all that are given out; the second for containers whose ids end at 65535. */
    const uid_t candidates[] = {2000000000U + (uid_t)getpid(), 30000U + (uid_t)getpid() % 30000U};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(*candidates); i++) {
        sandbox->user = candidates[i];
        if (chown(sandbox->scratch, sandbox->user, sandbox->user) == 0)
            return 0;
    }
    return -1;
}

/* ---- namespaces ---- */

pid_t sandbox_fork(const struct sandbox *sandbox)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};

    outer_user = geteuid();
    outer_group = getegid();
    if (sandbox->isolation == NO_NAMESPACES)
        return fork();
    arguments.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC;
    if (sandbox->isolation == NAMESPACES)
        arguments.flags |= CLONE_NEWNET;
    if (outer_user != 0) /* inside a user namespace an ordinary user has the right to the others */
        arguments.flags |= CLONE_NEWUSER;
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static int write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file == -1)
        return -1;
    ssize_t written = write(file, text, strlen(text));
    close(file);
    return written == -1 ? -1 : 0;
}

/* In a new user namespace: we are who we were, and nobody else exists. See user_namespaces(7). */
static int map_user(void)
{
    char map[64];

    snprintf(map, sizeof(map), "%u %u 1", outer_user, outer_user);
    if (write_file("/proc/self/setgroups", "deny") == -1 ||
        write_file("/proc/self/uid_map", map) == -1)
        return -1;
    snprintf(map, sizeof(map), "%u %u 1", outer_group, outer_group);
    return write_file("/proc/self/gid_map", map);
}

static int loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int link = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (link == -1 || ioctl(link, SIOCGIFFLAGS, &request) == -1)
        return -1;
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    int result = ioctl(link, SIOCSIFFLAGS, &request);
    close(link);
    return result;
}

static int mount_new(const char *type, const char *path, unsigned long flags, const char *options)
{
    return mount(type, path, type, flags | MS_NOSUID | MS_NODEV, options);
}

/* ---- what there is to see ---- */

/* Programs, libraries and headers, and what these read. Not all of /usr: people keep sources below
 * it, and what belongs to nobody but them. */
static const char *const system_paths[] = {
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/bin",
    "/usr/sbin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/libexec",
    "/usr/share",
    "/usr/local/bin",
    "/usr/local/include",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/libexec",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/services",
    NULL,
};
static const char *const devices[] = {
    "/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero", NULL,
};
static const char *const device_links[][2] = {
    {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
};

/* A folder of the old root; it has a /proc of its own there. */
static const char new_root[] = "/proc";

/* Makes all folders on the way to a path. */
static int make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made == -1 && errno != EEXIST)
            return -1;
    }
    return 0;
}

/* Shows a file or folder in the new root, under the name that it has; a link as a link. */
static int show(const char *path, bool must_be_there)
{
    char there[PATH_MAX];
    struct stat status;

    if (lstat(path, &status) == -1)
        return errno == ENOENT && !must_be_there ? 0 : -1;
    if ((size_t)snprintf(there, sizeof(there), "%s%s", new_root, path) >= sizeof(there)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (make_parents(there) == -1)
        return -1;
    if (S_ISLNK(status.st_mode)) {
        char target[PATH_MAX];
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        if (length == -1)
            return -1;
        target[length] = '\0';
        return symlink(target, there);
    }
    int made = S_ISDIR(status.st_mode) ? mkdir(there, 0755) : mknod(there, S_IFREG | 0644, 0);
    if (made == -1 && errno != EEXIST)
        return -1;
    /* What is mounted below it belongs to it: without MS_REC an ordinary user may not. */
    return mount(path, there, NULL, MS_BIND | MS_REC, NULL);
}

static int link_device(const char *target, const char *path)
{
    char there[32];

    snprintf(there, sizeof(there), "%s%s", new_root, path);
    return symlink(target, there);
}

/* A tmpfs(5) as scratch folder. */
static int mount_scratch(const struct sandbox *sandbox)
{
    char there[PATH_MAX], options[128];

    if ((size_t)snprintf(there, sizeof(there), "%s%s/", new_root, sandbox->scratch) >=
        sizeof(there)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(options, sizeof(options), "size=%ldm,nr_inodes=%ld,mode=0700,uid=%u,gid=%u",
             sandbox->scratch_mib, sandbox->scratch_files,
             outer_user == 0 ? sandbox->user : outer_user,
             outer_user == 0 ? sandbox->user : outer_group);
    return make_parents(there) == -1 ? -1 : mount_new("tmpfs", there, 0, options);
}

/* Makes the new root what / is, and leaves nothing of the old one: see pivot_root(2), NOTES. */
static int change_root(void)
{
    if (chdir(new_root) == -1 || syscall(SYS_pivot_root, ".", ".") == -1 ||
        umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
        return -1;
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}

int sandbox_furnish(const struct sandbox *sandbox)
{
    /* struct mount_attr, with MOUNT_ATTR_RDONLY to be set; glibc knows mount_setattr(2) only
     * since 2.36. */
    const uint64_t read_only[4] = {1};
    const int recursive = 0x8000; /* AT_RECURSIVE */

    if (sandbox->isolation == NO_NAMESPACES)
        return 0;
    umask(022);
    if (outer_user != 0 && map_user() == -1)
        return -1;
    if (sandbox->isolation == NAMESPACES && loopback_up() == -1)
        return -1;

    /* From here on what we mount is not seen outside: mount_namespaces(7). */
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
        syscall(SYS_mount_setattr, AT_FDCWD, "/", recursive, read_only, sizeof(read_only)) == -1 ||
        mount_new("tmpfs", new_root, 0, "size=1m,mode=0755") == -1)
        return -1;
    for (const char *const *path = system_paths; *path; path++)
        if (show(*path, false) == -1)
            return -1;
    for (const char *const *path = devices; *path; path++)
        if (show(*path, true) == -1)
            return -1;
    for (const char *const *path = sandbox->shown; *path; path++)
        if (show(*path, true) == -1)
            return -1;
    for (size_t i = 0; i < sizeof(device_links) / sizeof(*device_links); i++)
        if (link_device(device_links[i][0], device_links[i][1]) == -1)
            return -1;
    if (mount_scratch(sandbox) == -1 || mkdir("/proc/proc", 0755) == -1 ||
        mount_new("proc", "/proc/proc", MS_NOEXEC, NULL) == -1)
        return -1;
    return change_root();
}

/* ---- the program itself ---- */

#ifdef __GLIBC__
typedef __rlimit_resource_t resource_t; /* an enumeration; an int everywhere else */
#else
typedef int resource_t;
#endif

static int limit(resource_t resource, long value)
{
    struct rlimit old, new;

    if (getrlimit(resource, &old) == -1)
        return -1;
    new.rlim_cur = new.rlim_max = (rlim_t)value < old.rlim_max ? (rlim_t)value : old.rlim_max;
    return setrlimit(resource, &new);
}

/* How many processes of our user there are: RLIMIT_NPROC counts them too, setrlimit(2). */
static long processes_of_user(void)
{
    long count = 0;
    const struct dirent *entry;
    struct stat status;
    char path[32];
    DIR *proc = opendir("/proc");

    while (proc && (entry = readdir(proc)) != NULL) {
        snprintf(path, sizeof(path), "/proc/%.16s", entry->d_name);
        if (strtol(entry->d_name, NULL, 10) > 0 && stat(path, &status) == 0)
            count += status.st_uid == geteuid();
    }
    if (proc)
        closedir(proc);
    return count;
}

/* ---- without namespaces ---- */

/* landlock(7), as far as it goes; the headers know it only since Linux 5.13, and not all of it. */
enum {
    LANDLOCK_CREATE = 444,
    LANDLOCK_ADD = 445,
    LANDLOCK_RESTRICT = 446,
    LANDLOCK_VERSION = 1,      /* a flag of the first */
    LANDLOCK_PATH_BENEATH = 1, /* a kind of rule */
};
enum {
    MAY_EXECUTE = 1 << 0,
    MAY_WRITE_FILE = 1 << 1,
    MAY_READ_FILE = 1 << 2,
    MAY_READ_FOLDER = 1 << 3,
    MAY_TRUNCATE = 1 << 14,
    MAY_READ = MAY_EXECUTE | MAY_READ_FILE | MAY_READ_FOLDER,
};
struct landlock_beneath {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

/* Which version of it the kernel has; 0: none. */
static long landlock_version(void)
{
    long version = syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION);
    return version < 0 ? 0 : version;
}

static int allow(int rules, const char *path, uint64_t what)
{
    struct landlock_beneath rule = {.allowed = what, .folder = open(path, O_PATH | O_CLOEXEC)};
    struct stat status;

    if (rule.folder == -1) /* what is not there cannot be read */
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    if (fstat(rule.folder, &status) == 0 && !S_ISDIR(status.st_mode))
        rule.allowed &= MAY_EXECUTE | MAY_WRITE_FILE | MAY_READ_FILE | MAY_TRUNCATE;
    long added = syscall(LANDLOCK_ADD, rules, LANDLOCK_PATH_BENEATH, &rule, 0);
    close(rule.folder);
    return added == -1 ? -1 : 0;
}

/* Shows the same files as a root of its own would. Returns -1 with errno; 0, too, where the kernel
 * has nothing of the kind. */
static int bound_files(const struct sandbox *sandbox)
{
    static const int rights[] = {0, 13, 14, 15, 15, 16, 16}; /* that a version knows */
    long version = landlock_version();

    if (version == 0)
        return 0;
    const long known = sizeof(rights) / sizeof(*rights) - 1;
    const uint64_t all = (UINT64_C(1) << rights[version < known ? version : known]) - 1;
    /* Files, network, and scopes: abstract sockets and signals. */
    const uint64_t wanted[3] = {all, 0, 3};
    size_t size = version >= 6 ? sizeof(wanted) : sizeof(*wanted);
    int rules = (int)syscall(LANDLOCK_CREATE, wanted, size, 0), result = rules == -1 ? -1 : 0;

    for (const char *const *path = system_paths; *path && result == 0; path++)
        result = allow(rules, *path, MAY_READ);
    for (const char *const *path = sandbox->shown; *path && result == 0; path++)
        result = allow(rules, *path, MAY_READ);
    for (const char *const *path = devices; *path && result == 0; path++)
        result = allow(rules, *path, all & (MAY_READ_FILE | MAY_WRITE_FILE | MAY_TRUNCATE));
    if (result == 0)
        result = allow(rules, "/proc", MAY_READ_FILE | MAY_READ_FOLDER);
    /* What is missing under a root of its own Python passes over; of what it may not read it
     * complains. */
    glob_t settings = {0};
    if (glob("/etc/python3*", 0, NULL, &settings) == 0)
        for (size_t i = 0; i < settings.gl_pathc && result == 0; i++)
            result = allow(rules, settings.gl_pathv[i], MAY_READ);
    globfree(&settings);
    if (result == 0)
        result = allow(rules, sandbox->scratch, all);
    if (result == 0)
        result = (int)syscall(LANDLOCK_RESTRICT, rules, 0);
    if (rules != -1)
        close(rules);
    return result;
}

/*
 * Where nothing else separates the program from the rest of its user's processes: kill(-1) fails,
 * and so does what would stay in memory after it, System V IPC and message queues. See seccomp(2).
 * Against accidents, that is: whoever means harm can kill the processes one by one.
 */
static void filter_calls(void)
{
    const size_t low_half = __BYTE_ORDER == __LITTLE_ENDIAN ? 0 : sizeof(uint32_t);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#if defined SYS_shmget && defined SYS_msgget && defined SYS_semget
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_shmget, 7, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_msgget, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_semget, 5, 0),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mq_open, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (uint32_t)(offsetof(struct seccomp_data, args) + low_half)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)-1, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};

    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program); /* a kernel without it has none */
}

int sandbox_confine(const struct sandbox *sandbox)
{
    bool root = outer_user == 0;
    long processes = sandbox->processes + 1;

    /* The rest of the user's processes count, too, and there may be more of them later. So leave
     * room: that there are too many is seen by who watches the sandbox; this bounds how many until
     * then. The more may be wanted here, the more room: then who has run away with few leaves some
     * to others. */
    if (!root && sandbox->isolation == NO_NAMESPACES)
        processes += processes_of_user() + 8 * sandbox->processes;

    setsid();
    write_file("/proc/self/oom_score_adj", "1000"); /* if memory ends, this goes first */
    /* In bytes; a process that goes beyond dies by SIGXFSZ or SIGXCPU, or gets EMFILE, EAGAIN:
     * setrlimit(2). */
    if (limit(RLIMIT_CORE, 0) == -1 || limit(RLIMIT_CPU, sandbox->cpu_seconds + 1) == -1 ||
        limit(RLIMIT_FSIZE, sandbox->file_mib * 1024 * 1024) == -1 ||
        limit(RLIMIT_NOFILE, sandbox->descriptors) == -1 || limit(RLIMIT_NPROC, processes) == -1)
        return -1;
    if (chdir(sandbox->scratch) == -1)
        return -1;
    /* With its other ids, root loses its capabilities; inside a user namespace exec takes them:
     * capabilities(7). */
    if (root &&
        (setgroups(0, NULL) == -1 || setresgid(sandbox->user, sandbox->user, sandbox->user) == -1 ||
         setresuid(sandbox->user, sandbox->user, sandbox->user) == -1))
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) /* no set-user-ID program gives any back */
        return -1;
    if (sandbox->isolation != NO_NAMESPACES)
        return 0;
    filter_calls();
    return bound_files(sandbox);
}

const char *sandbox_told(const struct sandbox *sandbox)
{
    if (sandbox->isolation == NAMESPACES)
        return "namespaces: process, mount, IPC, network";
    if (sandbox->isolation == NAMESPACES_BUT_NET)
        return "namespaces: process, mount, IPC; no network of its own";
    return landlock_version() > 0 ? "no namespaces; Landlock bounds its files" : "no namespaces";
}
