/* Readers of one file by TFTP, all at once in one loop; every octet is compared.
 *
 *   tftp SERVER NAME FILE READERS TRANSFERS BLKSIZE WINDOW
 *
 * FILE holds what NAME should give. WINDOW 1: lock-step. Writes one line of JSON. A reader asks again after a second
 * without news, and has failed after ten.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 256

struct reader {
    int socket, connected, last_length;
    uint32_t wanted;  /* the next block, counted from 1 without wrapping */
    uint32_t window_left;
    double heard, began;
    uint8_t last[600];
};

static struct reader readers[READERS_MAX];
static struct sockaddr_in server;
static const char *name;
static const uint8_t *content;
static size_t size;
static uint32_t blksize, window;
static long begun, done, failed, wrong, repeated;
static int poll_set;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void say(struct reader *each) {
    if (each->connected) send(each->socket, each->last, each->last_length, 0);
    else sendto(each->socket, each->last, each->last_length, 0, (struct sockaddr *)&server, sizeof server);
}

static void begin(struct reader *each) {
    each->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int room = 1 << 20;
    setsockopt(each->socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    struct sockaddr_in own = {.sin_family = AF_INET};
    bind(each->socket, (struct sockaddr *)&own, sizeof own);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = each};
    epoll_ctl(poll_set, EPOLL_CTL_ADD, each->socket, &event);
    each->connected = 0;
    each->wanted = 1;
    each->window_left = window;
    each->heard = each->began = now();
    uint8_t *at = each->last;
    *at++ = 0; *at++ = 1;
    at += sprintf((char *)at, "%s", name) + 1;
    at += sprintf((char *)at, "octet") + 1;
    at += sprintf((char *)at, "blksize") + 1;
    at += sprintf((char *)at, "%u", blksize) + 1;
    if (window > 1) {
        at += sprintf((char *)at, "windowsize") + 1;
        at += sprintf((char *)at, "%u", window) + 1;
    }
    each->last_length = at - each->last;
    begun++;
    say(each);
}

static void end(struct reader *each) {
    close(each->socket);
    each->socket = -1;
}

static void acknowledge(struct reader *each, uint32_t block) {
    uint8_t packet[4] = {0, 4, block >> 8 & 255, block & 255};
    memcpy(each->last, packet, 4);
    each->last_length = 4;
    each->window_left = window;
    say(each);
}

static void heard(struct reader *each, const uint8_t *packet, ssize_t length) {
    if (length < 4) return;
    if (packet[1] == 6 && each->wanted == 1) { each->heard = now(); acknowledge(each, 0); return; }
    if (packet[1] == 5) { failed++; end(each); return; }
    if (packet[1] != 3) return;
    uint32_t number = packet[2] << 8 | packet[3];
    if (number != (each->wanted & 0xffff)) {
        /* RFC 7440: what is out of order is told by the last that was in order; a block that comes again, never. */
        if (window > 1 && (uint16_t)(number - each->wanted) < 0x8000 && each->last_length == 4) {
            repeated++;
            acknowledge(each, each->wanted - 1);
        }
        return;
    }
    size_t offset = (size_t)(each->wanted - 1) * blksize, count = length - 4;
    size_t due = size - offset < blksize ? size - offset : blksize;
    each->heard = now();
    if (count != due || memcmp(packet + 4, content + offset, count)) { wrong++; end(each); return; }
    uint32_t block = each->wanted++;
    if (count < blksize) { acknowledge(each, block); done++; end(each); return; }
    if (--each->window_left == 0) acknowledge(each, block);
}

int main(int argc, char **argv) {
    if (argc != 8) { fprintf(stderr, "usage: tftp SERVER NAME FILE READERS TRANSFERS BLKSIZE WINDOW\n"); return 2; }
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(69)};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    name = argv[2];
    int file = open(argv[3], O_RDONLY), many = atoi(argv[4]);
    long transfers = atol(argv[5]);
    struct stat status;
    if (file < 0 || fstat(file, &status) || many > READERS_MAX) return 1;
    size = status.st_size;
    content = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    blksize = atoi(argv[6]);
    window = atoi(argv[7]);
    poll_set = epoll_create1(0);
    double start = now(), looked = start;
    for (int each = 0; each < many; each++) readers[each].socket = -1;
    static uint8_t packet[65536];
    for (int running = 1; running;) {
        running = 0;
        for (int each = 0; each < many; each++) {
            if (readers[each].socket < 0 && begun < transfers) begin(&readers[each]);
            running |= readers[each].socket >= 0;
        }
        struct epoll_event ready[64];
        int some = epoll_wait(poll_set, ready, 64, 100);
        for (int index = 0; index < some; index++) {
            struct reader *each = ready[index].data.ptr;
            for (int turn = 0; turn < 64 && each->socket >= 0; turn++) {
                struct sockaddr_in from;
                socklen_t room = sizeof from;
                ssize_t length = recvfrom(each->socket, packet, sizeof packet, 0, (struct sockaddr *)&from, &room);
                if (length < 0) break;
                if (!each->connected) {
                    each->connected = 1;
                    if (connect(each->socket, (struct sockaddr *)&from, sizeof from)) { failed++; end(each); break; }
                }
                heard(each, packet, length);
                if (window == 1) break;
            }
        }
        double at = now();
        if (at - looked < 0.1) continue;
        looked = at;
        for (int each = 0; each < many; each++) {
            struct reader *one = &readers[each];
            if (one->socket < 0) continue;
            if (at - one->heard > 10) { failed++; end(one); }
            else if (at - one->heard > 1) { repeated++; say(one); }
        }
    }
    double elapsed = now() - start;
    printf("{\"done\": %ld, \"failed\": %ld, \"wrong\": %ld, \"repeated\": %ld, \"seconds\": %.4f, \"mb_s\": %.2f}\n",
           done, failed, wrong, repeated, elapsed, done * size / elapsed / 1e6);
    return 0;
}
