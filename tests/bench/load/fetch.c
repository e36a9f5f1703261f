/* Readers of one file by HTTP, all at once in one loop; what they read the kernel throws away, so that they cost little.
 *
 *   fetch SERVER PORT PATH SOURCES READERS SECONDS SIZE
 *
 * SOURCES: addresses of this host, with commas, that connections are made from. Connections are kept alive; each reads
 * PATH over and over. Writes one line of JSON. An answer that is not 200 or not of SIZE octets is wrong.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 1024

struct reader { int socket, head; char text[2048]; long left; };

static struct reader readers[READERS_MAX];
static struct sockaddr_in server;
static in_addr_t sources[16];
static int many_sources, poll_set;
static char request[1024];
static long size, octets, done, wrong, broken;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void ask(struct reader *each) {
    each->head = 0;
    each->left = -1;
    if (send(each->socket, request, strlen(request), MSG_NOSIGNAL) < 0 && errno != EAGAIN) broken++;
}

static void begin(struct reader *each, int number) {
    each->socket = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = sources[number % many_sources]};
    if (bind(each->socket, (struct sockaddr *)&own, sizeof own) ||
        connect(each->socket, (struct sockaddr *)&server, sizeof server)) { perror("connect"); exit(1); }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = each};
    epoll_ctl(poll_set, EPOLL_CTL_ADD, each->socket, &event);
    ask(each);
}

static int take(struct reader *each) {
    static char sink[1 << 20];
    if (each->left < 0) {
        ssize_t some = recv(each->socket, each->text + each->head, sizeof each->text - 1 - each->head, MSG_DONTWAIT);
        if (some <= 0) return some < 0 && errno == EAGAIN ? 0 : -1;
        each->head += some;
        each->text[each->head] = 0;
        char *end = strstr(each->text, "\r\n\r\n");
        if (!end) return each->head < (int)sizeof each->text - 1 ? 1 : -1;
        char *length = strcasestr(each->text, "content-length:");
        if (strncmp(each->text + 9, "200", 3) || !length || atol(length + 15) != size) { wrong++; return -1; }
        long body = each->head - (end + 4 - each->text);
        octets += body;
        each->left = size - body;
    } else {
        ssize_t some = recv(each->socket, sink, each->left < (long)sizeof sink ? each->left : (long)sizeof sink,
                            MSG_DONTWAIT | MSG_TRUNC);
        if (some <= 0) return some < 0 && errno == EAGAIN ? 0 : -1;
        octets += some;
        each->left -= some;
    }
    if (each->left == 0) { done++; ask(each); }
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 8) { fprintf(stderr, "usage: fetch SERVER PORT PATH SOURCES READERS SECONDS SIZE\n"); return 2; }
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3], argv[1]);
    for (char *each = strtok(argv[4], ","); each && many_sources < 16; each = strtok(NULL, ","))
        inet_pton(AF_INET, each, &sources[many_sources++]);
    int many = atoi(argv[5]);
    if (many > READERS_MAX) return 1;
    double seconds = atof(argv[6]);
    size = atol(argv[7]);
    poll_set = epoll_create1(0);
    for (int each = 0; each < many; each++) begin(&readers[each], each);
    double start = now(), at;
    while ((at = now()) - start < seconds) {
        struct epoll_event ready[64];
        int some = epoll_wait(poll_set, ready, 64, 100);
        for (int index = 0; index < some; index++) {
            struct reader *each = ready[index].data.ptr;
            int said = 1;
            for (int turn = 0; turn < 8 && said > 0; turn++) said = take(each);
            if (said < 0) { broken++; close(each->socket); begin(each, each - readers); }
        }
        if (broken > 100 || wrong > 100) break;
    }
    at = now() - start;
    printf("{\"done\": %ld, \"wrong\": %ld, \"broken\": %ld, \"octets\": %ld, \"seconds\": %.4f, \"mb_s\": %.2f}\n",
           done, wrong, broken, octets, at, octets / at / 1e6);
    return 0;
}
