"""DHCPv6 policy, pure: what a message is answered and which address a client has (RFC 8415, RFC 5970)."""
