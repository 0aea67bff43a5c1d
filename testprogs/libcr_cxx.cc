// Checks that C++ programs can use libcr: its headers, exceptions within a callback, objects on the way.
// build: -lcr
#include <libcr.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

static std::vector<std::string> events;

static int callback(void *arg)
{
    auto *name = static_cast<std::string *>(arg);
    try {
        events.push_back("before " + *name);
        int result = cr_checkpoint(CR_CHECKPOINT_READY);
        throw std::runtime_error(result == 0 ? "continued" : result > 0 ? "restarted" : "failed");
    } catch (const std::exception &exception) {
        events.push_back(exception.what());
    }
    return 0;
}

static int fail(const char *what)
{
    printf("FAIL libcr_cxx.cc:%s\n", what);
    return 1;
}

int main()
{
    std::string name = "thread";
    cr_checkpoint_args_t args;
    cr_restart_args_t restart_args;
    if (cr_init() < 0 || cr_register_callback(callback, &name, CR_THREAD_CONTEXT) < 0)
        return fail("libcr");
    if (cr_initialize_checkpoint_args_t(&args) || cr_initialize_restart_args_t(&restart_args))
        return fail("arguments");
    setvbuf(stdout, nullptr, _IONBF, 0);
    puts("READY");
    char word[32] = "";
    while (!word[0]) {
        int fd = open("go", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, word, sizeof word - 1);
        if (fd >= 0)
            close(fd);
        word[n > 0 ? n : 0] = 0;
        usleep(10000);
    }
    std::string journey(word, strcspn(word, " \n"));
    if (journey == "stay" ? !events.empty() : events.size() < 2)
        return fail("the number of events");
    if (journey != "stay" && events.back() != (journey == "continue" ? "continued" : "restarted"))
        return fail(events.back().c_str());
    puts("PASS");
    return 0;
}
