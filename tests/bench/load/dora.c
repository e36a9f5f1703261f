/* Full DHCP exchanges through relays: DISCOVER, OFFER, REQUEST, ACK, each by a machine nobody has seen.
 *
 *   dora SERVER RELAYS PARALLEL RATE SECONDS FIRST SEEN
 *
 * RELAYS: addresses of this host, with commas. RATE 0: closed loop with PARALLEL exchanges in flight; else so many begin
 * each second, with at most PARALLEL in flight. FIRST: number of the first machine. SEEN: a file of addresses given so
 * far, for duplicates over several runs. Writes one line of JSON. An exchange without its ACK after 2 s is a drop.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RELAYS_MAX 16
#define SLOTS_MAX 16384
#define BATCH 64
#define ADDRESSES (1u << 20)
#define TIMEOUT 2.0

static const uint8_t UEFI[] = {
    57, 2, 5, 192, 60, 32, 'P', 'X', 'E', 'C', 'l', 'i', 'e', 'n', 't', ':', 'A', 'r', 'c', 'h', ':', '0', '0', '0',
    '0', '7', ':', 'U', 'N', 'D', 'I', ':', '0', '0', '3', '0', '1', '6', 93, 2, 0, 7, 94, 3, 1, 3, 16,
    55, 9, 1, 3, 6, 43, 54, 60, 66, 67, 97};

struct slot { int state; uint16_t generation; uint32_t machine, relay; double began; };

static struct slot slots[SLOTS_MAX];
static int spare[SLOTS_MAX], spares;
static uint8_t seen[ADDRESSES / 8];
static int sockets[RELAYS_MAX], relays;
static in_addr_t giaddr[RELAYS_MAX];
static struct sockaddr_in server;
static uint8_t out[RELAYS_MAX][BATCH][600];
static struct iovec out_piece[RELAYS_MAX][BATCH];
static struct mmsghdr out_message[RELAYS_MAX][BATCH];
static int queued[RELAYS_MAX];
static double *taken;
static long done, dropped, duplicates, refused, begun;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void flush(int relay) {
    int sent = 0;
    while (sent < queued[relay]) {
        int some = sendmmsg(sockets[relay], out_message[relay] + sent, queued[relay] - sent, 0);
        if (some > 0) sent += some;
        else if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS) { perror("sendmmsg"); exit(1); }
    }
    queued[relay] = 0;
}

static void say(int number, int kind, const uint8_t *offered, const uint8_t *identifier) {
    struct slot *slot = &slots[number];
    int relay = slot->relay, place = queued[relay]++;
    uint8_t *packet = out[relay][place];
    memset(packet, 0, 600);
    packet[0] = 1; packet[1] = 1; packet[2] = 6; packet[3] = 1;
    uint32_t xid = htonl(((uint32_t)slot->generation << 16) | number);
    memcpy(packet + 4, &xid, 4);
    memcpy(packet + 24, &giaddr[relay], 4);
    uint32_t machine = htonl(slot->machine);
    packet[28] = 0x52; packet[29] = 0x55;
    memcpy(packet + 30, &machine, 4);
    memcpy(packet + 236, "\x63\x82\x53\x63", 4);
    uint8_t *at = packet + 240;
    *at++ = 53; *at++ = 1; *at++ = kind;
    if (kind == 3) {
        *at++ = 50; *at++ = 4; memcpy(at, offered, 4); at += 4;
        *at++ = 54; *at++ = 4; memcpy(at, identifier, 4); at += 4;
    }
    memcpy(at, UEFI, sizeof UEFI); at += sizeof UEFI;
    *at++ = 97; *at++ = 17; *at++ = 0; memcpy(at, packet + 28, 6); at += 16;
    *at++ = 255;
    out_piece[relay][place] = (struct iovec){packet, at - packet};
    out_message[relay][place].msg_hdr = (struct msghdr){
        .msg_name = &server, .msg_namelen = sizeof server, .msg_iov = &out_piece[relay][place], .msg_iovlen = 1};
    if (queued[relay] == BATCH) flush(relay);
}

static void begin(uint32_t machine) {
    int number = spare[--spares];
    slots[number].state = 1;
    slots[number].generation++;
    slots[number].machine = machine;
    slots[number].relay = machine % relays;
    slots[number].began = now();
    begun++;
    say(number, 1, NULL, NULL);
}

static void end(int number) {
    slots[number].state = 0;
    spare[spares++] = number;
}

static const uint8_t *option(const uint8_t *packet, int length, int code) {
    for (int at = 240; at + 1 < length && packet[at] != 255;) {
        if (packet[at] == 0) { at++; continue; }
        if (at + 2 + packet[at + 1] > length) return NULL;
        if (packet[at] == code) return packet + at + 2;
        at += 2 + packet[at + 1];
    }
    return NULL;
}

static void heard(const uint8_t *packet, int length) {
    uint32_t xid, address;
    if (length < 244 || packet[0] != 2) return;
    memcpy(&xid, packet + 4, 4);
    xid = ntohl(xid);
    int number = xid & 0xffff;
    if (number >= SLOTS_MAX || slots[number].generation != xid >> 16) return;
    struct slot *slot = &slots[number];
    const uint8_t *kind = option(packet, length, 53), *identifier = option(packet, length, 54);
    if (!kind || !identifier) return;
    if (slot->state == 1 && *kind == 2) {
        slot->state = 2;
        say(number, 3, packet + 16, identifier);
    } else if (slot->state == 2 && *kind == 6) {
        refused++;
        end(number);
    } else if (slot->state == 2 && *kind == 5) {
        memcpy(&address, packet + 16, 4);
        address = ntohl(address) % ADDRESSES;
        if (seen[address / 8] & 1 << address % 8) duplicates++;
        seen[address / 8] |= 1 << address % 8;
        taken[done++] = now() - slot->began;
        end(number);
    }
}

static int order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 8) { fprintf(stderr, "usage: dora SERVER RELAYS PARALLEL RATE SECONDS FIRST SEEN\n"); return 2; }
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(67)};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    for (char *each = strtok(argv[2], ","); each && relays < RELAYS_MAX; each = strtok(NULL, ","), relays++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(67)};
        inet_pton(AF_INET, each, &own.sin_addr);
        giaddr[relays] = own.sin_addr.s_addr;
        int size = 1 << 23;
        sockets[relays] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(sockets[relays], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        if (bind(sockets[relays], (struct sockaddr *)&own, sizeof own)) { perror("bind"); return 1; }
    }
    int parallel = atoi(argv[3]);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    uint32_t machine = strtoul(argv[6], NULL, 10);
    FILE *file = fopen(argv[7], "rb");
    if (file) { if (fread(seen, 1, sizeof seen, file) != sizeof seen) return 1; fclose(file); }
    if (parallel > SLOTS_MAX) parallel = SLOTS_MAX;
    for (int number = 0; number < parallel; number++) spare[spares++] = number;
    taken = malloc(sizeof(double) * 4000000);
    static uint8_t in[BATCH][1500];
    struct iovec piece[BATCH];
    struct mmsghdr message[BATCH];
    for (int each = 0; each < BATCH; each++) {
        piece[each] = (struct iovec){in[each], sizeof in[each]};
        memset(&message[each], 0, sizeof message[each]);
        message[each].msg_hdr.msg_iov = &piece[each];
        message[each].msg_hdr.msg_iovlen = 1;
    }
    double start = now(), stop = start + seconds, looked = start, last = start, due = start;
    for (;;) {
        double at = now();
        if (at < stop) {
            if (rate > 0) for (; due <= at && spares; due += 1 / rate) begin(machine++);
            else while (spares) begin(machine++);
        }
        for (int relay = 0; relay < relays; relay++) flush(relay);
        if (spares == parallel && at >= stop) break;
        struct pollfd wanted[RELAYS_MAX];
        for (int relay = 0; relay < relays; relay++) wanted[relay] = (struct pollfd){sockets[relay], POLLIN, 0};
        int wait = 20;
        if (rate > 0 && at < stop && spares) { wait = (int)((due - at) * 1000); if (wait < 0) wait = 0; if (wait > 20) wait = 20; }
        poll(wanted, relays, wait);
        for (int relay = 0; relay < relays; relay++) {
            if (!(wanted[relay].revents & POLLIN)) continue;
            int some = recvmmsg(sockets[relay], message, BATCH, 0, NULL);
            for (int each = 0; each < some; each++) heard(in[each], message[each].msg_len);
            if (some > 0) last = now();
        }
        at = now();
        if (at - looked > 0.05) {
            looked = at;
            for (int number = 0; number < SLOTS_MAX; number++)
                if (slots[number].state && at - slots[number].began > TIMEOUT) { dropped++; end(number); }
        }
    }
    double elapsed = last > start ? last - start : seconds;
    qsort(taken, done, sizeof *taken, order);
#define AT(share) (done ? taken[(long)((done - 1) * (share))] * 1000 : 0.0)
    printf("{\"done\": %ld, \"begun\": %ld, \"dropped\": %ld, \"duplicates\": %ld, \"refused\": %ld, \"seconds\": %.3f, "
           "\"rate\": %.1f, \"p50\": %.2f, \"p99\": %.2f, \"longest\": %.2f}\n",
           done, begun, dropped, duplicates, refused, elapsed, done / elapsed, AT(0.5), AT(0.99), AT(1));
    file = fopen(argv[7], "wb");
    if (!file || fwrite(seen, 1, sizeof seen, file) != sizeof seen) return 1;
    fclose(file);
    return 0;
}
