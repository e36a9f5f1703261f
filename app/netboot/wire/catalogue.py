"""Every DHCPv4 option by number and name, with its type (IANA "BOOTP Vendor Extensions and DHCP Options").

Names are those ISC dhcpd and Kea made common; IANA's own, in lower case with dashes, are understood too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How an option's value is written and encoded; see `app.netboot.wire.values`."""

    IP = "ip"
    IPS = "ip-list"
    PAIRS = "ip-pairs"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT16S = "uint16-list"
    UINT32 = "uint32"
    INT32 = "int32"
    BOOL = "bool"
    STRING = "string"
    HEX = "hex"
    ROUTES = "routes"
    DOMAIN = "domain"
    DOMAINS = "domains"
    SEARCH = "domain-search"
    FQDN = "fqdn"
    SIP = "sip-servers"
    AGENTS = "slp-agents"
    SCOPES = "slp-scopes"
    IPV6S = "ipv6-list"
    SUBOPTIONS = "sub-options"
    VENDORS = "vendor-options"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `computed`: why nobody sets it, in words; empty: it can be set."""

    code: int
    name: str
    iana: str
    kind: Kind
    computed: str = ""

    @property
    def title(self) -> str:
        """Number and name, for messages."""
        return f"{self.code} ({self.name})"


_SAID = "the client says it, a server never does"
_LEASE = "it follows from the lease time; set that"
_NETWORK = "it follows from the subnet's network"
_PROTOCOL = "it is part of each message, and Bootcart's to fill in"
_ECHO = "Bootcart gives back what the client or its relay sent"
_QUERY = "it belongs to lease queries, which are not answered"

_TABLE = """
1 subnet-mask|Subnet Mask|ip
2 time-offset|Time Offset|int32
3 routers|Router|ip-list
4 time-servers|Time Server|ip-list
5 name-servers|Name Server|ip-list
6 domain-name-servers|Domain Server|ip-list
7 log-servers|Log Server|ip-list
8 cookie-servers|Quotes Server|ip-list
9 lpr-servers|LPR Server|ip-list
10 impress-servers|Impress Server|ip-list
11 resource-location-servers|RLP Server|ip-list
12 host-name|Hostname|string
13 boot-size|Boot File Size|uint16
14 merit-dump|Merit Dump File|string
15 domain-name|Domain Name|string
16 swap-server|Swap Server|ip
17 root-path|Root Path|string
18 extensions-path|Extension File|string
19 ip-forwarding|Forward On/Off|bool
20 non-local-source-routing|SrcRte On/Off|bool
21 policy-filter|Policy Filter|ip-pairs
22 max-dgram-reassembly|Max DG Assembly|uint16
23 default-ip-ttl|Default IP TTL|uint8
24 path-mtu-aging-timeout|MTU Timeout|uint32
25 path-mtu-plateau-table|MTU Plateau|uint16-list
26 interface-mtu|MTU Interface|uint16
27 all-subnets-local|MTU Subnet|bool
28 broadcast-address|Broadcast Address|ip
29 perform-mask-discovery|Mask Discovery|bool
30 mask-supplier|Mask Supplier|bool
31 router-discovery|Router Discovery|bool
32 router-solicitation-address|Router Request|ip
33 static-routes|Static Route|ip-pairs
34 trailer-encapsulation|Trailers|bool
35 arp-cache-timeout|ARP Timeout|uint32
36 ieee802-3-encapsulation|Ethernet|bool
37 default-tcp-ttl|Default TCP TTL|uint8
38 tcp-keepalive-interval|Keepalive Time|uint32
39 tcp-keepalive-garbage|Keepalive Data|bool
40 nis-domain|NIS Domain|string
41 nis-servers|NIS Servers|ip-list
42 ntp-servers|NTP Servers|ip-list
43 vendor-encapsulated-options|Vendor Specific|sub-options
44 netbios-name-servers|NETBIOS Name Srv|ip-list
45 netbios-dd-server|NETBIOS Dist Srv|ip-list
46 netbios-node-type|NETBIOS Node Type|uint8
47 netbios-scope|NETBIOS Scope|string
48 font-servers|X Window Font|ip-list
49 x-display-manager|X Window Manager|ip-list
50 dhcp-requested-address|Address Request|ip
51 dhcp-lease-time|Address Time|uint32
52 dhcp-option-overload|Overload|uint8
53 dhcp-message-type|DHCP Msg Type|uint8
54 dhcp-server-identifier|DHCP Server Id|ip
55 dhcp-parameter-request-list|Parameter List|hex
56 dhcp-message|DHCP Message|string
57 dhcp-max-message-size|DHCP Max Msg Size|uint16
58 dhcp-renewal-time|Renewal Time|uint32
59 dhcp-rebinding-time|Rebinding Time|uint32
60 vendor-class-identifier|Class Id|string
61 dhcp-client-identifier|Client Id|hex
62 nwip-domain-name|NetWare/IP Domain|string
63 nwip-suboptions|NetWare/IP Option|sub-options
64 nisplus-domain-name|NIS-Domain-Name|string
65 nisplus-servers|NIS-Server-Addr|ip-list
66 tftp-server-name|Server-Name|string
67 boot-file-name|Bootfile-Name|string
68 mobile-ip-home-agent|Home-Agent-Addrs|ip-list
69 smtp-server|SMTP-Server|ip-list
70 pop-server|POP3-Server|ip-list
71 nntp-server|NNTP-Server|ip-list
72 www-server|WWW-Server|ip-list
73 finger-server|Finger-Server|ip-list
74 irc-server|IRC-Server|ip-list
75 streettalk-server|StreetTalk-Server|ip-list
76 streettalk-directory-assistance-server|STDA-Server|ip-list
77 user-class|User-Class|hex
78 slp-directory-agent|Directory Agent|slp-agents
79 slp-service-scope|Service Scope|slp-scopes
80 rapid-commit|Rapid Commit|hex
81 fqdn|Client FQDN|fqdn
82 dhcp-agent-options|Relay Agent Information|hex
83 isns|iSNS|hex
85 nds-servers|NDS Servers|ip-list
86 nds-tree-name|NDS Tree Name|string
87 nds-context|NDS Context|string
88 bcms-controller-names|BCMCS Controller Domain Name list|domains
89 bcms-controller-address|BCMCS Controller IPv4 address option|ip-list
90 authentication|Authentication|hex
91 client-last-transaction-time|client-last-transaction-time option|uint32
92 associated-ip|associated-ip option|ip-list
93 client-system|Client System|uint16-list
94 client-ndi|Client NDI|hex
95 ldap|LDAP|string
97 uuid-guid|UUID/GUID|hex
98 uap-servers|User-Auth|string
99 geoconf-civic|GEOCONF_CIVIC|hex
100 pcode|PCode|string
101 tcode|TCode|string
108 v6-only-preferred|IPv6-Only Preferred|uint32
109 v4-dhcp4o6-s46-saddr|OPTION_DHCP4O6_S46_SADDR|ipv6-list
112 netinfo-server-address|Netinfo Address|ip-list
113 netinfo-server-tag|Netinfo Tag|string
114 v4-captive-portal|DHCP Captive-Portal|string
116 auto-config|Auto-Config|uint8
117 name-service-search|Name Service Search|uint16-list
118 subnet-selection|Subnet Selection Option|ip
119 domain-search|Domain Search|domain-search
120 sip-servers|SIP Servers DHCP Option|sip-servers
121 classless-static-route|Classless Static Route Option|routes
122 cablelabs-client-configuration|CCC|sub-options
123 geoconf|GeoConf Option|hex
124 vivco-suboptions|V-I Vendor Class|hex
125 vivso-suboptions|V-I Vendor-Specific Information|vendor-options
136 pana-agent|OPTION_PANA_AGENT|ip-list
137 v4-lost|OPTION_V4_LOST|domain
138 capwap-ac-v4|OPTION_CAPWAP_AC_V4|ip-list
139 ipv4-address-mos|OPTION-IPv4_Address-MoS|sub-options
140 ipv4-fqdn-mos|OPTION-IPv4_FQDN-MoS|sub-options
141 sip-ua-cs-domains|SIP UA Configuration Service Domains|domains
142 ipv4-address-andsf|OPTION-IPv4_Address-ANDSF|ip-list
143 v4-sztp-redirect|OPTION_V4_SZTP_REDIRECT|hex
144 geoloc|GeoLoc|hex
145 forcerenew-nonce-capable|FORCERENEW_NONCE_CAPABLE|hex
146 rdnss-selection|RDNSS Selection|hex
147 v4-dots-ri|OPTION_V4_DOTS_RI|domain
148 v4-dots-address|OPTION_V4_DOTS_ADDRESS|ip-list
150 tftp-server-address|TFTP server address|ip-list
151 status-code|status-code|hex
152 base-time|base-time|uint32
153 start-time-of-state|start-time-of-state|uint32
154 query-start-time|query-start-time|uint32
155 query-end-time|query-end-time|uint32
156 dhcp-state|dhcp-state|uint8
157 data-source|data-source|uint8
158 v4-pcp-server|OPTION_V4_PCP_SERVER|hex
159 v4-portparams|OPTION_V4_PORTPARAMS|hex
161 mud-url|OPTION_MUD_URL_V4|string
162 v4-dnr|OPTION_V4_DNR|hex
175 etherboot|Etherboot|hex
208 pxelinux-magic|PXELINUX Magic|hex
209 pxelinux-config-file|Configuration File|string
210 pxelinux-path-prefix|Path Prefix|string
211 pxelinux-reboot-time|Reboot Time|uint32
212 option-6rd|OPTION_6RD|hex
213 v4-access-domain|OPTION_V4_ACCESS_DOMAIN|domain
220 subnet-allocation|Subnet Allocation Option|hex
221 virtual-subnet-selection|Virtual Subnet Selection (VSS) Option|hex
249 ms-classless-static-route|Private Use (Microsoft's 121)|routes
252 wpad-url|Private Use (web proxy auto-discovery)|string
"""

_COMPUTED = {
    1: _NETWORK,
    28: _NETWORK,
    50: _SAID,
    51: _LEASE,
    52: _PROTOCOL,
    53: _PROTOCOL,
    54: _PROTOCOL,
    55: _SAID,
    56: _PROTOCOL,
    57: _SAID,
    58: _LEASE,
    59: _LEASE,
    60: "what firmware is told here decides whether it boots at all",
    61: _ECHO,
    77: _SAID,
    80: "an address is never given without being asked for twice",
    82: _ECHO,
    90: "messages are not authenticated",
    91: _QUERY,
    92: _QUERY,
    93: _SAID,
    94: _SAID,
    97: _ECHO,
    118: _ECHO,
    145: "FORCERENEW is never sent",
    151: _QUERY,
    152: _QUERY,
    153: _QUERY,
    154: _QUERY,
    155: _QUERY,
    156: _QUERY,
    157: _QUERY,
    161: _SAID,
    175: "iPXE tells its features in it, and is told nothing",
    220: "subnets are not handed out",
}

_ALIASES = {
    "router": 3,
    "dns": 6,
    "dns-servers": 6,
    "hostname": 12,
    "domain": 15,
    "mtu": 26,
    "ntp": 42,
    "vendor-options": 43,
    "lease-time": 51,
    "boot-file": 67,
    "default-url": 114,  # ONIE's name of it, older than RFC 8910
    "search": 119,
    "classless-routes": 121,
}


def _read(line: str) -> Option:
    head, iana, kind = line.split("|")
    code, name = head.split(" ", 1)
    return Option(int(code), name, iana, Kind(kind), _COMPUTED.get(int(code), ""))


OPTIONS: dict[int, Option] = {item.code: item for item in map(_read, _TABLE.strip().splitlines())}
"""Every option that has a name, by number."""


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


_BY_NAME: dict[str, Option] = {
    **{_slug(item.iana): item for item in OPTIONS.values() if "private" not in item.iana.lower()},
    **{alias: OPTIONS[code] for alias, code in _ALIASES.items()},
    **{item.name: item for item in OPTIONS.values()},
}


def find(text: str) -> Option | None:
    """The option of this name or number; a number without a name is an option of any type. None: there is none."""
    word = text.strip()
    if word.isascii() and word.isdigit():
        code = int(word)
        return OPTIONS.get(code, Option(code, word, "", Kind.ANY)) if 0 < code < 255 else None
    return _BY_NAME.get(_slug(word.replace("_", "-")))


def names() -> list[str]:
    """Every name that `find` knows."""
    return list(_BY_NAME)
