"""Finding events: the database does most of the looking, and finds what memory would."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.model.query import Query, apply
from app.store.store import Store
from tests.store.stores import draft, until

_WORDS = st.sampled_from(
    ["dhcp", "DHCP", "ack", "xid", "7", "0.7", "null", "true", "ü", "rom", "a b", 'q"t', "%", "_", "52:54", ""]
)
_FACTS = st.dictionaries(
    st.sampled_from(["xid", "stage", "ackword", "nested"]),
    st.one_of(
        _WORDS,
        st.none(),
        st.booleans(),
        st.floats(0, 9),
        st.lists(_WORDS | st.none()),
        st.fixed_dictionaries({"stage": _WORDS}),
    ),
    max_size=3,
)
_TERMS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "!"]),
        st.sampled_from(["", "", "stage=", "stage~", "kind=", "kind~", "message~", "mac=", "data.xid=", "id=", "="]),
        _WORDS,
    ),
)


@given(events=st.lists(st.tuples(_WORDS, _WORDS, _FACTS), min_size=1, max_size=8), terms=st.lists(_TERMS, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_filter_finds_the_same_in_the_store_as_in_memory(
    store: Store, events: list[tuple[str, str, dict[str, object]]], terms: list[str]
) -> None:
    first = store.events.last_id + 1
    for kind, message, facts in events:
        store.events.emit(draft(kind=kind, message=message, data=facts))
    until(lambda: store.events.last_id >= first + len(events) - 1)
    every = store.events.list(after=first - 1).items

    found = store.events.list(Query(tuple(terms)), after=first - 1)

    assert [event.id for event in found.items] == [event.id for event in apply(every, Query(tuple(terms))).items]
    assert found.total == len(found.items)
    newest = store.events.list(Query(tuple(terms), sort="-id", limit=2), after=first - 1)
    assert newest.items == found.items[::-1][:2]
