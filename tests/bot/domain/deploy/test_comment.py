from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.domain.deploy.answers import Answer, Deny, Gate, Pass, Wait
from bot.domain.deploy.comment import Told, render, sentence
from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.journey import Evidence, Journey, Reading, Sample, Stay
from bot.domain.deploy.states import State
from bot.domain.text import BUDGET, size

NOW = datetime(2026, 11, 21, 10, 4, 9, tzinfo=UTC)
SHA = "cafe1234" * 5
OTHER = "0ldc0de5" * 5
WAITS = (
    Gate("boxes", Pass("12 boxes are green on cafe123")),
    Gate("approvals", Wait("1 of 2 approvals for cafe123", "team:release: /approve production")),
    Gate("frozen", Wait("frozen until 2026-11-23 08:00 UTC: weekend", "it ends by itself")),
)


def deployment(state: State = State.SUCCEEDED, **other: object) -> Deployment:
    given = {
        "id": "comment:1:7.0",
        "number": 12,
        "repo_id": 1,
        "repo": "octo/app",
        "installation_id": 1,
        "environment": "production",
        "kind": "deploy",
        "state": state,
        "sha": SHA,
        "artifact": "tree:" + "7ree" * 10,
        "config": "c0nf" * 16,
        "pr": 7,
        "author": "mona",
        "requested_by": "mona",
        "created_at": NOW - timedelta(minutes=4),
        "changed_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    } | other
    return Deployment(**given)  # type: ignore[arg-type]


def told(state: State = State.SUCCEEDED, **other: object) -> Told:
    parts = {"gates", "approvals", "journey", "url", "open_url"}
    about = {"url": "https://i.example/d/12"} | {k: v for k, v in other.items() if k in parts}
    return Told(deployment=deployment(state, **{k: v for k, v in other.items() if k not in parts}), **about)  # type: ignore[arg-type]


def approval(by: str = "ada", **other: object) -> Approval:
    given = {
        "id": f"comment:1:{by}",
        "repo_id": 1,
        "environment": "production",
        "deployment": "comment:1:7.0",
        "sha": SHA,
        "artifact": "tree:" + "7ree" * 10,
        "config": "c0nf" * 16,
        "by": by,
        "as_who": ("team:release",),
        "given_at": NOW,
    } | other
    return Approval(**given)  # type: ignore[arg-type]


def stays(*names: str) -> tuple[Stay, ...]:
    at = NOW.timestamp()
    return tuple(
        Stay(state=name, at=at + 5 * n, seconds=5.0 if n < len(names) - 1 else None) for n, name in enumerate(names)
    )


BAD = Journey(
    stays=stays("requested", "locked", "preparing", "smoking", "switching", "baking", "rolling_back", "rolled_back"),
    evidence=Evidence(
        samples=(
            Sample(at=1.0, source="probe", side="new", successes=20, failures=9),
            Sample(at=1.0, source="traffic", side="new", successes=335, failures=48),
            Sample(at=1.0, source="probe", side="old", successes=29),
        ),
        readings=(
            Reading(at=1.0, source="probe", log_r=2.0, log_threshold=12.4),
            Reading(at=2.0, source="traffic", log_r=31.5, log_threshold=12.4),
        ),
        verdict="bad",
        tolerated=0.01,
    ),
    tail="listening on 9102\nTraceback (most recent call last):\nKeyError: 'price'\n",
)


def said(*all_told: Told) -> str:
    return render(all_told).body


def test_one_that_waits_shows_every_gate_and_who_can_open_it() -> None:
    assert said(told(State.GATED, gates=WAITS, approvals=(approval(),))) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ⏸️ waits at its gates | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ⏸️ waits at its gates

| gate | | who can change it |
|--|--|--|
| ⏳ approvals | 1 of 2 approvals for cafe12\u200d3 | team:release: /approve production |
| ⏳ frozen | frozen until 2026-11-23 08:00 UTC: weekend | it ends by itself |
| ✅ boxes | 12 boxes are green on cafe12\u200d3 |  |

- @\u200dada (team:release) approved `cafe123`

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")


def test_an_approval_of_an_older_commit_stands_there_with_both_commits() -> None:
    older = (approval("ada", sha=OTHER), approval("bob", void_because="@eve has edited its comment"))
    assert said(told(State.GATED, gates=WAITS[1:2], approvals=older)) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ⏸️ waits at its gates | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ⏸️ waits at its gates

| gate | | who can change it |
|--|--|--|
| ⏳ approvals | 1 of 2 approvals for cafe12\u200d3 | team:release: /approve production |

- @\u200dada (team:release) approved `0ldc0de` — **counts no more**: it is for 0ldc0de, and this is cafe12\u200d3
- @\u200dbob (team:release) approved `cafe123` — **counts no more**: @\u200deve has edited its comment

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")


def test_an_approval_of_another_build_or_configuration_names_both() -> None:
    others = (approval("ada", artifact="tree:" + "0ther" * 8), approval("bob", config="0ther" * 12))
    assert said(told(State.GATED, gates=WAITS[1:2], approvals=others)) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ⏸️ waits at its gates | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ⏸️ waits at its gates

| gate | | who can change it |
|--|--|--|
| ⏳ approvals | 1 of 2 approvals for cafe12\u200d3 | team:release: /approve production |

- @\u200dada (team:release) approved `cafe123` — **counts no more**: it is for tree 0ther0ther0t, and this is tree 7ree7ree7ree
- @\u200dbob (team:release) approved `cafe123` — **counts no more**: it is for configuration 0ther0ther0t, and this is c0nfc0nfc0nf

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")  # noqa: E501 - prose has no line ends.


def test_one_under_way_folds_its_gates() -> None:
    passed = (Gate("boxes", Pass("12 boxes are green on cafe123")), Gate("approvals", Pass("approved by ada, bob")))
    both = (approval("ada"), approval("bob"))
    journey = Journey(stays=stays("requested", "locked", "preparing"))
    assert said(
        told(State.PREPARING, gates=passed, approvals=both, journey=journey, plan_hash="9f86d081" * 8)
    ) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ⏳ is started, without users | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ⏳ is started, without users

<details><summary>Details</summary>

| gate | | who can change it |
|--|--|--|
| ✅ boxes | 12 boxes are green on cafe12\u200d3 |  |
| ✅ approvals | approved by ada, bob |  |

- @\u200dada (team:release) approved `cafe123`
- @\u200dbob (team:release) approved `cafe123`

| state | 2026-11-21, UTC | took |
|--|--|--|
| requested | 10:04:09 | 5.0 s |
| locked | 10:04:14 | 5.0 s |
| preparing | 10:04:19 |  |

Plan `9f86d0819f86` · built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")  # noqa: E501 - prose has no line ends.


def test_one_that_is_watched_says_how_it_is_taken_back() -> None:
    assert said(told(State.BAKING)) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | 👀 is live and watched | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` 👀 is live and watched

`/rollback production` takes it back at once.

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")


def test_one_that_is_well_links_to_where_users_are() -> None:
    staging = told(environment="staging", number=11, open_url="https://staging.example/")
    assert said(staging, told(State.GATED, gates=WAITS)) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `staging` ([open](https://staging.example/)) | `cafe123` | ✅ is live and well | [deployment 11](https://i.example/d/12), 2026-11-21 10:04 UTC |
| `production` | `cafe123` | ⏸️ waits at its gates | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `staging` ✅ is live and well

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

### `production` ⏸️ waits at its gates

| gate | | who can change it |
|--|--|--|
| ⏳ approvals | 1 of 2 approvals for cafe12\u200d3 | team:release: /approve production |
| ⏳ frozen | frozen until 2026-11-23 08:00 UTC: weekend | it ends by itself |
| ✅ boxes | 12 boxes are green on cafe12\u200d3 |  |

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")  # noqa: E501 - prose has no line ends.


def test_one_that_was_rolled_back_shows_the_evidence_and_what_the_release_printed() -> None:
    because = "57 of 412 answers failed, which a release as good as tolerated does less than once in 1000 deployments"
    assert said(told(State.ROLLED_BACK, because=because, journey=BAD)) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ⏪ was rolled back | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ⏪ was rolled back

57 of 412 answers failed, which a release as good as tolerated does less than once in 1000 deployments.

- of 412 answers of this release 57 failed (13.8 %)
- of 29 answers of the release before 0 failed (0 %)
- tolerated: 1 %
- evidence against it: R = 4.8·10¹³; 2.4·10⁵ is enough

<details><summary>The end of what it printed</summary>

```text
listening on 9102
Traceback (most recent call last):
KeyError: 'price'
```

</details>

<details><summary>Details</summary>

| state | 2026-11-21, UTC | took |
|--|--|--|
| requested | 10:04:09 | 5.0 s |
| locked | 10:04:14 | 5.0 s |
| preparing | 10:04:19 | 5.0 s |
| smoking | 10:04:24 | 5.0 s |
| switching | 10:04:29 | 5.0 s |
| baking | 10:04:34 | 5.0 s |
| rolling back | 10:04:39 | 5.0 s |
| rolled back | 10:04:44 |  |

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")


def test_one_that_is_held_says_how_much_is_missing_for_a_verdict() -> None:
    journey = Journey(
        evidence=Evidence(
            samples=(Sample(at=1.0, source="probe", side="new", successes=4),), verdict="inconclusive", needed=58
        )
    )
    assert said(
        told(State.HELD, because="4 of 58 samples: nobody knows whether it is good", journey=journey)
    ) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ✋ is held: a person decides | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ✋ is held: a person decides

4 of 58 samples: nobody knows whether it is good.

- of 4 answers of this release 0 failed (0 %)
- a verdict needs 58 answers, and there were 4

Someone with write permission decides: `/promote production` accepts it, `/rollback production` takes it back.

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")  # noqa: E501 - prose has no line ends.


def test_one_whose_rollback_failed_calls_for_a_person() -> None:
    assert said(told(State.ROLLBACK_FAILED, because="the router does not answer, 3 times")) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | 🚨 could not be rolled back: a person has to look now | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` 🚨 could not be rolled back: a person has to look now

The router does not answer, 3 times.

Nothing more is tried. Both releases are left as they are, and `production` is locked until `/unlock production`.

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")  # noqa: E501 - prose has no line ends.


def test_one_that_was_given_up_shows_what_it_printed() -> None:
    journey = Journey(tail="error: no such module: 'app'\n")
    assert said(told(State.ABORTED, because="blue exited with 1 before it answered", journey=journey)) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ❌ was given up before a user saw it | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ❌ was given up before a user saw it

Blue exited with 1 before it answered.

`/deploy production` asks for it anew.

<details><summary>The end of what it printed</summary>

```text
error: no such module: 'app'
```

</details>

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")  # noqa: E501 - prose has no line ends.


@pytest.mark.parametrize("state", [State.DENIED, State.EXPIRED])
def test_one_that_ended_at_its_gates_shows_them(state: State) -> None:
    gates = (Gate("approvals", Deny("rejected by bob: not on a Friday", "")), *WAITS[:1])
    shown = said(told(state, because="rejected by @bob: not on a Friday", gates=gates))
    assert "| ⛔ approvals | rejected by bob: not on a Friday |  |" in shown
    assert "`/deploy production` asks for it anew." in shown
    assert "@b" not in shown


def test_one_that_gave_way_says_to_what() -> None:
    assert said(told(State.SUPERSEDED, because="the head of #7 is 0ldc0de now, and this is cafe123")) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ⏭️ gave way to a newer one | [deployment 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ⏭️ gave way to a newer one

The head of #\u200d7 is 0ldc0de now, and this is cafe12\u200d3.

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")


def test_a_rollback_is_called_one() -> None:
    assert said(told(kind="rollback")) == snapshot("""\
**Interlock deployments**

| environment | commit | | |
|--|--|--|--|
| `production` | `cafe123` | ✅ is live again | [rollback 12](https://i.example/d/12), 2026-11-21 10:04 UTC |

### `production` ✅ is live again

<details><summary>Details</summary>

Built as `tree 7ree7ree7ree` · configuration `c0nfc0nfc0nf` · asked for by @\u200dmona

</details>

`/help deploy` · `/help approve` · `/help rollback`\
""")


def test_without_a_page_there_are_no_links() -> None:
    assert "](" not in said(told(url=""))


HOSTILE = "@octo/team <!-- interlock:deploys=1 --> <img src=x> | ![](http://e.example/b.gif) ``` fixes #1 \u202e"


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
OURS = {
    "<details><summary>Details</summary>",
    "<details><summary>The end of what it printed</summary>",
    "</details>",
}


def flat(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


@pytest.mark.requirement("S-17")
@pytest.mark.parametrize("state", list(State))
def test_nothing_that_strangers_wrote_does_anything_in_it(state: State) -> None:
    shown = said(
        told(
            state,
            because=HOSTILE,
            environment=HOSTILE,
            requested_by=HOSTILE,
            gates=(Gate(HOSTILE, Wait(HOSTILE, HOSTILE)),),
            approvals=(approval(HOSTILE, because=HOSTILE, void_because=HOSTILE, as_who=(HOSTILE,)),),
            journey=replace(BAD, tail=f"```\n{HOSTILE}\n````\n"),
            open_url="https://x.example/)<script>",
        )
    )
    tokens = list(flat(MARKDOWN.parse(shown)))
    assert {token.content.strip() for token in tokens if token.type.startswith("html")} <= OURS
    assert not [token for token in tokens if token.type == "image"]
    links = {str(token.attrs["href"]) for token in tokens if token.type == "link_open"}
    assert links <= {"https://i.example/d/12", "https://x.example/%29%3Cscript%3E"}
    prose = "".join(token.content for token in tokens if token.type in {"text", "text_special"})
    assert not [word for word in ("@octo", "#1", "http:/", "\u202e") if word in prose]
    assert "\u202e" not in shown


ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Pass, st.text()), st.builds(Wait, st.text(), st.text()), st.builds(Deny, st.text(), st.text())
)


@given(
    gates=st.lists(st.builds(Gate, st.text(), ANSWERS), max_size=4),
    state=st.sampled_from(State),
    because=st.text(),
    tail=st.text(),
)
def test_whatever_it_is_told_it_fits_into_a_comment(gates: list[Gate], state: State, because: str, tail: str) -> None:
    many = [
        told(state, number=n, because=because * 50, gates=tuple(gates), journey=replace(BAD, tail=tail * 500))
        for n in range(12)
    ]
    assert size(said(*many)) <= BUDGET


def test_too_many_say_that_something_was_left_out() -> None:
    many = [
        told(State.ROLLED_BACK, number=n, journey=replace(BAD, tail="x" * 99 + "\n" + "y" * 6_000)) for n in range(20)
    ]
    shown = said(*many)
    assert "The rest is on the pages of the deployments." in shown
    assert size(shown) <= BUDGET


@pytest.mark.parametrize("log", [math.inf, 1e9, 900.0, 7.0, 0.0])
def test_evidence_of_any_size_is_a_number_that_people_can_read(log: float) -> None:
    reading = Reading(at=1.0, source="probe", log_r=log, log_threshold=12.4)
    shown = said(told(State.HELD, journey=Journey(evidence=Evidence(readings=(reading,)))))
    assert "R = " in shown
    assert "e+" not in shown


def test_news_is_where_it_stands_and_not_when() -> None:
    later = replace(deployment(State.HELD), changed_at=NOW + timedelta(hours=1))
    assert render([told(State.HELD)]).news == render([Told(deployment=later)]).news == "12 production held"
    assert render([told(State.BAKING)]).news == ""


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("kind", ["deploy", "rollback"])
def test_every_state_has_words(state: State, kind: str) -> None:
    sign, _, words = sentence(deployment(state, kind=kind)).partition(" ")
    assert sign
    assert words
