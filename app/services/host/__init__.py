"""Host preparation: what an agreed HostPlan changes on this host, how each change is made, and how it is taken back."""
