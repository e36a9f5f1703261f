"""Setting up a segment step by step: interface, proposal, review, consent."""
