/* Leftovers of killed processes: what goes, and all that must stay. */

#include "sweep.h"

#include <stdio.h>
#include <stdlib.h> /* mkdtemp(3) */
#include <string.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

struct scene {
    char parent[40];
    char directory[80];
    char file[100];
};

static struct scene begin(const char *directory, const char *file)
{
    struct scene scene = {.parent = "/tmp/sweep-test.XXXXXX"};
    CHECK(mkdtemp(scene.parent) != NULL);
    (void)snprintf(scene.directory, sizeof scene.directory, "%s/%s", scene.parent, directory);
    (void)snprintf(scene.file, sizeof scene.file, "%s/%s", scene.directory, file);
    CHECK_INT(mkdir(scene.directory, 0700), 0);
    return scene;
}

static void grow_old(const char *path, time_t seconds)
{
    time_t then = time(NULL) - seconds;
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    CHECK_INT(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void sweep_now(const struct scene *scene)
{
    sweep(scene->parent, "room.", "bell");
}

static void end(const struct scene *scene)
{
    (void)unlink(scene->file);
    (void)rmdir(scene->directory);
    CHECK_INT(rmdir(scene->parent), 0);
}

static void write_file(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    (void)close(file);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(listener, 1), 0);
    return listener;
}

static void old_and_empty_goes(void)
{
    struct scene scene = begin("room.AbC123", "bell");
    grow_old(scene.directory, 90);
    sweep_now(&scene);
    CHECK(!is_there(scene.directory));
    end(&scene);
}

static void old_with_a_dead_socket_goes(void)
{
    struct scene scene = begin("room.AbC123", "bell");
    (void)close(listen_at(scene.file));
    grow_old(scene.directory, 90);
    sweep_now(&scene);
    CHECK(!is_there(scene.directory));
    end(&scene);
}

/* Who listens is told nothing, and can still be connected to. */
static void socket_that_lives_stays(void)
{
    struct scene scene = begin("room.AbC123", "bell");
    int listener = listen_at(scene.file);
    CHECK_INT(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    grow_old(scene.directory, 90);
    sweep_now(&scene);
    CHECK(is_there(scene.file));
    CHECK_INT(accept(listener, NULL, NULL), -1);
    (void)close(listener);
    end(&scene);
}

static void young_one_stays(void)
{
    struct scene scene = begin("room.AbC123", "bell");
    grow_old(scene.directory, 30);
    sweep_now(&scene);
    CHECK(is_there(scene.directory));
    end(&scene);
}

static void anything_else_in_it_keeps_it(void)
{
    static const char *const names[] = {"bell", "belt"};
    for (size_t i = 0; i < 2; i++) {
        struct scene scene = begin("room.AbC123", names[i]);
        write_file(scene.file);
        grow_old(scene.directory, 90);
        sweep_now(&scene);
        CHECK(is_there(scene.file));
        end(&scene);
    }
}

static void other_names_stay(void)
{
    static const char *const names[] = {"room.AbC12", "room.AbC1234", "Room.AbC123", "room", "r"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct scene scene = begin(names[i], "bell");
        grow_old(scene.directory, 90);
        sweep_now(&scene);
        CHECK(is_there(scene.directory));
        end(&scene);
    }
}

/* Neither followed nor removed. */
static void link_stays(void)
{
    struct scene scene = begin("elsewhere", "bell");
    char link[80];
    (void)snprintf(link, sizeof link, "%s/room.AbC123", scene.parent);
    CHECK_INT(symlink("elsewhere", link), 0);
    (void)close(listen_at(scene.file));
    grow_old(scene.directory, 90);
    grow_old(link, 90);
    sweep_now(&scene);
    CHECK(is_there(link) && is_there(scene.file));
    (void)unlink(link);
    end(&scene);
}

static void file_of_that_name_stays(void)
{
    struct scene scene = begin("elsewhere", "bell");
    char file[80];
    (void)snprintf(file, sizeof file, "%s/room.AbC123", scene.parent);
    write_file(file);
    grow_old(file, 90);
    sweep_now(&scene);
    CHECK(is_there(file));
    (void)unlink(file);
    end(&scene);
}

static void folder_that_is_not_there(void)
{
    char longest[300];
    memset(longest, 'l', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    sweep("/nowhere-at-all", "room.", "bell");
    sweep(longest, "room.", "bell");
    sweep("", "room.", "bell");
}

/* Too long for a socket's address: it was never made by us. */
static void path_that_is_too_long(void)
{
    char name[120];
    struct scene scene = begin("elsewhere", "bell");
    char parent[200];
    char directory[220];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    (void)snprintf(parent, sizeof parent, "%s/%s", scene.parent, name);
    (void)snprintf(directory, sizeof directory, "%s/room.AbC123", parent);
    CHECK(mkdir(parent, 0700) == 0 && mkdir(directory, 0700) == 0);
    grow_old(directory, 90);
    sweep(parent, "room.", "bell");
    CHECK(is_there(directory));
    CHECK(rmdir(directory) == 0 && rmdir(parent) == 0);
    end(&scene);
}

static const struct check_case cases[] = {
    CHECK_CASE(old_and_empty_goes),
    CHECK_CASE(old_with_a_dead_socket_goes),
    CHECK_CASE(socket_that_lives_stays),
    CHECK_CASE(young_one_stays),
    CHECK_CASE(anything_else_in_it_keeps_it),
    CHECK_CASE(other_names_stay),
    CHECK_CASE(link_stays),
    CHECK_CASE(file_of_that_name_stays),
    CHECK_CASE(folder_that_is_not_there),
    CHECK_CASE(path_that_is_too_long),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
