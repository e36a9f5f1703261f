"""Bootcart: a bare-metal provisioning appliance for one host and one operator."""
