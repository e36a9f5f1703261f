/* A boot storm: machines that ask for an address, fetch their loader by TFTP, their script and kernel by HTTP, and
 * register, each with an address of its own.
 *
 *   storm SERVER RELAYS MACHINES RATE LOADER_SIZE KERNEL_SIZE FIRST SECONDS
 *
 * So many machines begin a second. Leased addresses must be local here (a local route). What is lost is asked for again
 * after 1, 2, 4 s as firmware does; a machine that has not registered SECONDS after the first began has failed. Writes
 * one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RELAYS_MAX 16
#define LIVE_MAX 8192
#define BLKSIZE 1456

enum { UNUSED, DISCOVER, REQUEST, LOADER, SCRIPT, KERNEL, REGISTER, OVER };

struct machine {
    int state, socket, connected, tries, slot;
    uint32_t number, relay, block, xid;
    in_addr_t address, offered, identifier;
    double began, asked, leased;
    long got;
    int head;
    uint8_t last[256];
    int last_length;
    char text[8192], kernel[128], token[1100];
    long left;
};

static struct machine *machines;
static struct machine *by_xid[1 << 16];
static int sockets[RELAYS_MAX], relays, poll_set, live;
static in_addr_t giaddr[RELAYS_MAX];
static struct sockaddr_in server;
static long total, begun, registered, failed, wrong, repeated, loader_size, kernel_size, scripts;
static double *dora, *whole, *script_at, start;
static long doras;
static const char *host;
static uint32_t first;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void over(struct machine *each, int good) {
    if (each->socket >= 0) { close(each->socket); each->socket = -1; }
    if (good) whole[registered++] = now() - each->began;
    else failed++;
    by_xid[each->xid & 0xffff] = NULL;
    each->state = UNUSED;
    live--;
}

static void mac(const struct machine *each, uint8_t *to) {
    uint32_t number = htonl(each->number);
    to[0] = 0x52; to[1] = 0x56;
    memcpy(to + 2, &number, 4);
}

static void dhcp(struct machine *each) {
    uint8_t packet[600] = {1, 1, 6, 1};
    uint32_t xid = htonl(each->xid);
    memcpy(packet + 4, &xid, 4);
    memcpy(packet + 24, &giaddr[each->relay], 4);
    mac(each, packet + 28);
    memcpy(packet + 236, "\x63\x82\x53\x63", 4);
    uint8_t *at = packet + 240;
    *at++ = 53; *at++ = 1; *at++ = each->state == DISCOVER ? 1 : 3;
    if (each->state == REQUEST) {
        *at++ = 50; *at++ = 4; memcpy(at, &each->offered, 4); at += 4;
        *at++ = 54; *at++ = 4; memcpy(at, &each->identifier, 4); at += 4;
    }
    static const char bios[] = "\x39\x02\x05\xc0\x3c\x20PXEClient:Arch:00000:UNDI:002001\x5d\x02\0\0\x5e\x03\x01\x02\x01"
                               "\x37\x09\x01\x03\x06\x2b\x36\x3c\x42\x43\x61";
    memcpy(at, bios, sizeof bios - 1); at += sizeof bios - 1;
    *at++ = 97; *at++ = 17; *at++ = 0; memcpy(at, packet + 28, 6); at += 16;
    *at++ = 255;
    sendto(sockets[each->relay], packet, at - packet, 0, (struct sockaddr *)&server, sizeof server);
    each->asked = now();
}

static void open_socket(struct machine *each, int kind) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = each->address};
    if (each->socket >= 0) close(each->socket);
    each->socket = socket(AF_INET, kind | SOCK_NONBLOCK, 0);
    int on = 1;
    if (kind == SOCK_STREAM) {
        setsockopt(each->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(each->socket, SOL_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &on, sizeof on);
    }
    if (bind(each->socket, (struct sockaddr *)&own, sizeof own)) { perror("bind"); exit(1); }
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = each};
    epoll_ctl(poll_set, EPOLL_CTL_ADD, each->socket, &event);
    each->connected = 0;
}

static void tftp(struct machine *each) {
    struct sockaddr_in to = server;
    to.sin_port = htons(69);
    if (each->connected) send(each->socket, each->last, each->last_length, 0);
    else sendto(each->socket, each->last, each->last_length, 0, (struct sockaddr *)&to, sizeof to);
    each->asked = now();
}

static void fetch_loader(struct machine *each, const char *name) {
    open_socket(each, SOCK_DGRAM);
    each->state = LOADER;
    each->block = 1;
    each->tries = 0;
    uint8_t *at = each->last;
    *at++ = 0; *at++ = 1;
    at += sprintf((char *)at, "%.60s", name) + 1;
    at += sprintf((char *)at, "octet") + 1;
    at += sprintf((char *)at, "tsize") + 1; at += sprintf((char *)at, "0") + 1;
    at += sprintf((char *)at, "blksize") + 1; at += sprintf((char *)at, "%d", BLKSIZE) + 1;
    each->last_length = at - each->last;
    each->got = 0;
    tftp(each);
}

static void http(struct machine *each, const char *text) {
    if (!each->connected) {
        struct sockaddr_in to = server;
        to.sin_port = htons(8090);
        open_socket(each, SOCK_STREAM);
        connect(each->socket, (struct sockaddr *)&to, sizeof to);
        struct epoll_event event = {.events = EPOLLOUT, .data.ptr = each};
        epoll_ctl(poll_set, EPOLL_CTL_MOD, each->socket, &event);
    } else send(each->socket, text, strlen(text), MSG_NOSIGNAL);
    each->head = 0;
    each->left = -1;
    each->asked = now();
}

static void request(struct machine *each) {
    char text[2048];
    uint8_t own[6];
    mac(each, own);
    char dashed[18], colons[18];
    sprintf(dashed, "%02x-%02x-%02x-%02x-%02x-%02x", own[0], own[1], own[2], own[3], own[4], own[5]);
    sprintf(colons, "%02x:%02x:%02x:%02x:%02x:%02x", own[0], own[1], own[2], own[3], own[4], own[5]);
    if (each->state == SCRIPT)
        sprintf(text, "GET /boot/%s.ipxe HTTP/1.1\r\nHost: %s:8090\r\n\r\n", dashed, host);
    else if (each->state == KERNEL)
        sprintf(text, "GET /%s HTTP/1.1\r\nHost: %s:8090\r\n\r\n", each->kernel, host);
    else {
        char body[300];
        sprintf(body, "{\"macs\": [\"%s\"], \"boot_mac\": \"%s\", \"architecture\": \"amd64\", \"firmware\": \"bios\", "
                      "\"uuid\": \"\"}", colons, colons);
        sprintf(text, "POST /agent/register HTTP/1.1\r\nHost: %s:8090\r\nAuthorization: Bearer %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", host, each->token, strlen(body), body);
    }
    http(each, text);
}

static void begin(void) {
    for (int slot = 0; slot < LIVE_MAX; slot++) {
        struct machine *each = &machines[slot];
        if (each->state != UNUSED) continue;
        memset(each, 0, sizeof *each);
        each->socket = -1;
        each->number = first + begun;
        each->xid = each->number;
        each->relay = begun % relays;
        each->began = now();
        each->state = DISCOVER;
        by_xid[each->xid & 0xffff] = each;
        begun++;
        live++;
        dhcp(each);
        return;
    }
}

static const uint8_t *option(const uint8_t *packet, int length, int code) {
    for (int at = 240; at + 1 < length && packet[at] != 255;) {
        if (packet[at] == 0) { at++; continue; }
        if (packet[at] == code) return packet + at + 1;
        at += 2 + packet[at + 1];
    }
    return NULL;
}

static void answered(const uint8_t *packet, int length) {
    uint32_t xid;
    if (length < 244) return;
    memcpy(&xid, packet + 4, 4);
    xid = ntohl(xid);
    struct machine *each = by_xid[xid & 0xffff];
    const uint8_t *kind = option(packet, length, 53), *identifier = option(packet, length, 54);
    if (!each || each->xid != xid || !kind || !identifier) return;
    if (each->state == DISCOVER && kind[1] == 2) {
        memcpy(&each->offered, packet + 16, 4);
        memcpy(&each->identifier, identifier + 1, 4);
        each->state = REQUEST;
        each->tries = 0;
        dhcp(each);
    } else if (each->state == REQUEST && kind[1] == 5) {
        memcpy(&each->address, packet + 16, 4);
        each->leased = now();
        dora[doras++] = each->leased - each->began;
        char name[129] = {0};
        memcpy(name, packet + 108, 128);
        if (!name[0]) { wrong++; over(each, 0); return; }
        fetch_loader(each, name);
    } else if (kind[1] == 6) { wrong++; over(each, 0); }
}

static void block(struct machine *each, const uint8_t *packet, ssize_t length) {
    uint8_t back[4] = {0, 4, 0, 0};
    if (length < 4) return;
    if (packet[1] == 5) { wrong++; over(each, 0); return; }
    if (packet[1] == 3) {
        uint32_t number = packet[2] << 8 | packet[3];
        if (number != (each->block & 0xffff)) return;
        each->got += length - 4;
        each->block++;
        back[2] = packet[2]; back[3] = packet[3];
    } else if (packet[1] != 6 || each->block != 1) return;
    memcpy(each->last, back, 4);
    each->last_length = 4;
    each->tries = 0;
    tftp(each);
    if (packet[1] == 3 && length - 4 < BLKSIZE) {
        if (each->got != loader_size) { wrong++; over(each, 0); return; }
        close(each->socket);
        each->socket = -1;
        each->connected = 0;
        each->state = SCRIPT;
        request(each);
    }
}

static int whole_answer(struct machine *each) {
    char *body = strstr(each->text, "\r\n\r\n") + 4;
    if (each->state == SCRIPT) {
        char *kernel = strstr(body, "set kernel "), *token = strstr(body, "bootcart.token=");
        if (!kernel || !token) { wrong++; over(each, 0); return 0; }
        sscanf(kernel + 11, "%120s", each->kernel);
        sscanf(token + 15, "%1000s", each->token);
        script_at[scripts++] = now() - start;
        each->state = KERNEL;
        request(each);
    } else if (each->state == KERNEL) {
        each->state = REGISTER;
        request(each);
    } else { over(each, 1); return 0; }
    return 1;
}

static int piece(struct machine *each) {
    static char sink[1 << 18];
    if (each->left < 0 || each->state != KERNEL) {
        ssize_t some = recv(each->socket, each->text + each->head, sizeof each->text - 1 - each->head, 0);
        if (some <= 0) { if (some < 0 && errno == EAGAIN) return 0; wrong++; over(each, 0); return 0; }
        each->head += some;
        each->text[each->head] = 0;
        each->asked = now();
        char *end = strstr(each->text, "\r\n\r\n");
        if (!end) return 1;
        if (each->left < 0) {
            char *length = strcasestr(each->text, "content-length:");
            if (strncmp(each->text + 9, "200", 3) || !length) { wrong++; over(each, 0); return 0; }
            each->left = atol(length + 15);
            if (each->state == KERNEL && each->left != kernel_size) { wrong++; over(each, 0); return 0; }
            each->left -= each->head - (end + 4 - each->text);
        } else each->left -= some;
    } else {
        ssize_t some = recv(each->socket, sink, sizeof sink, MSG_TRUNC);
        if (some <= 0) { if (some < 0 && errno == EAGAIN) return 0; wrong++; over(each, 0); return 0; }
        each->asked = now();
        each->left -= some;
    }
    return each->left > 0 ? 1 : whole_answer(each);
}

static int order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: storm SERVER RELAYS MACHINES RATE LOADER_SIZE KERNEL_SIZE FIRST SECONDS\n");
        return 2;
    }
    struct rlimit files = {16384, 16384};
    setrlimit(RLIMIT_NOFILE, &files);
    host = argv[1];
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(67)};
    inet_pton(AF_INET, host, &server.sin_addr);
    for (char *each = strtok(argv[2], ","); each && relays < RELAYS_MAX; each = strtok(NULL, ","), relays++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(67)};
        inet_pton(AF_INET, each, &own.sin_addr);
        giaddr[relays] = own.sin_addr.s_addr;
        int size = 1 << 23;
        sockets[relays] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(sockets[relays], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        if (bind(sockets[relays], (struct sockaddr *)&own, sizeof own)) { perror("bind"); return 1; }
    }
    total = atol(argv[3]);
    double rate = atof(argv[4]), seconds = atof(argv[8]);
    loader_size = atol(argv[5]);
    kernel_size = atol(argv[6]);
    first = strtoul(argv[7], NULL, 10);
    machines = calloc(LIVE_MAX, sizeof *machines);
    dora = calloc(total, sizeof *dora);
    whole = calloc(total, sizeof *whole);
    script_at = calloc(total, sizeof *script_at);
    poll_set = epoll_create1(0);
    for (int relay = 0; relay < relays; relay++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        epoll_ctl(poll_set, EPOLL_CTL_ADD, sockets[relay], &event);
    }
    static uint8_t packet[65536];
    double looked, due, at;
    start = looked = due = now();
    while (registered + failed < total && (at = now()) - start < seconds) {
        for (; begun < total && due <= at && live < LIVE_MAX - 1; due += 1 / rate) begin();
        struct epoll_event ready[256];
        int some = epoll_wait(poll_set, ready, 256, 2);
        for (int index = 0; index < some; index++) {
            struct machine *each = ready[index].data.ptr;
            if (!each) {
                for (int relay = 0; relay < relays; relay++) {
                    ssize_t length;
                    while ((length = recv(sockets[relay], packet, sizeof packet, 0)) > 0) answered(packet, length);
                }
            } else if (each->state == LOADER) {
                struct sockaddr_in from;
                socklen_t room = sizeof from;
                ssize_t length = recvfrom(each->socket, packet, sizeof packet, 0, (struct sockaddr *)&from, &room);
                if (length < 0) continue;
                if (!each->connected) { each->connected = 1; connect(each->socket, (struct sockaddr *)&from, sizeof from); }
                block(each, packet, length);
            } else if (each->state >= SCRIPT && !each->connected) {
                if (ready[index].events & (EPOLLERR | EPOLLHUP)) { wrong++; over(each, 0); continue; }
                each->connected = 1;
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = each};
                epoll_ctl(poll_set, EPOLL_CTL_MOD, each->socket, &event);
                request(each);
            } else if (each->state >= SCRIPT)
                for (int turn = 0; turn < 8 && each->state != UNUSED && piece(each); turn++) {}
        }
        if (at - looked < 0.1) continue;
        looked = at;
        for (int slot = 0; slot < LIVE_MAX; slot++) {
            struct machine *each = &machines[slot];
            if (each->state == UNUSED || at - each->asked < (double)(1 << (each->tries < 4 ? each->tries : 4))) continue;
            if (each->state <= LOADER) {
                each->tries++;
                repeated++;
                if (each->state == LOADER) tftp(each);
                else dhcp(each);
            }
        }
    }
    double elapsed = now() - start;
    qsort(dora, doras, sizeof *dora, order);
    qsort(whole, registered, sizeof *whole, order);
#define AT(list, count, share) ((count) ? list[(long)((count - 1) * (share))] : 0.0)
    printf("{\"registered\": %ld, \"scripts\": %ld, \"failed\": %ld, \"wrong\": %ld, \"repeated\": %ld, \"seconds\": %.2f, "
           "\"last_script\": %.2f, \"dora_p50\": %.4f, \"dora_p99\": %.4f, \"boot_p50\": %.3f, \"boot_p99\": %.3f}\n",
           registered, scripts, failed, wrong, repeated, elapsed, scripts ? script_at[scripts - 1] : 0.0,
           AT(dora, doras, 0.5), AT(dora, doras, 0.99), AT(whole, registered, 0.5), AT(whole, registered, 0.99));
    return 0;
}
