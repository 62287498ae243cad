"""Whose configuration counts, what a change of it would do, and what is told when it is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bot.localhub.acts.accounts import create_user
from tests.fakes.world import OK, REPO, World, box

CONFIG = ".github/interlock.yml"
BOXES = {"boxes/tier-1/1_readme.sh": OK, "boxes/tier-2/2_slow.sh": box(title="Slow")}
PREVIEW = "Interlock / preview"


async def test_a_pull_request_that_adds_boxes_gets_a_preview_and_nothing_of_it_runs(
    world: World, tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    world.repository({"README.md": "x"})
    pr = await world.open_pull_request(
        {
            "boxes/tier-1/1_proof.sh": box(f"touch {proof}", title="Proof", network="['example.org']"),
            CONFIG: "boxes: {30: {tier: 2, run: make check}}\nreport: {falsify: require}\n",
        }
    )
    await world.settle()
    assert list(pr.checks()) == [PREVIEW]
    check = pr.check(PREVIEW)
    assert (check.conclusion, check.title) == snapshot(
        ("neutral", "2 added of 2 boxes after the merge; 1 setting changed")
    )
    assert check.summary == snapshot("""\
Nothing of the change was executed for this. Until it is merged, what the base says is in force.

There are no boxes yet. After the merge, 2 boxes in 2 tiers would run.

| box | | |
|--|--|--|
| 1 Proof | added | tier 1; timeout 60 s; network: `example.org`; no control: nothing proves that it can fail |
| 30 make check | added | tier 2; timeout 60 s; no control: nothing proves that it can fail |

Secrets go to protected branches only; members' pull requests reach what `trust.network` lists, strangers' nothing.

| setting | before | after |
|--|--|--|
| `report.falsify` (proofs that boxes can turn red) | `tell` | `require` |\
""")
    assert not proof.exists()
    assert pr.comments == []


async def test_a_repository_with_nothing_hears_nothing(world: World) -> None:
    world.repository({"README.md": "x"})
    pr = await world.open_pull_request({"README.md": "y"})
    await world.settle()
    assert pr.checks() == {}
    assert pr.comments == []


async def test_a_change_of_programs_alone_needs_no_preview(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"boxes/tier-2/2_slow.sh": box("true", title="Slow")})
    await world.settle()
    assert PREVIEW not in pr.checks()


async def test_a_change_of_boxes_and_settings_is_told_in_words(world: World) -> None:
    world.repository({**BOXES, "boxes/tier-1/3_gone.sh": box("exit 0 # gone"), CONFIG: "defaults: {timeout: 30s}\n"})
    pr = await world.open_pull_request(
        {
            "boxes/tier-1/3_gone.sh": None,
            "boxes/tier-2/2_slow.sh": None,
            "boxes/tier-3/5_slow.sh": box(title="Slow", timeout="'2m'"),
            "boxes/tier-1/1_readme.sh": box(title="1_readme", secrets="['KEY']"),
            CONFIG: (
                "defaults: {timeout: 30s}\ntrust: {network: [a.example], bots: [7]}\nlimits: {T2: {memory: 4GiB}}\n"
            ),
        }
    )
    await world.settle()
    assert pr.check(PREVIEW).title == snapshot(
        "1 removed, 1 renumbered, 1 changed of 2 boxes after the merge; 3 settings changed"
    )
    assert pr.check(PREVIEW).summary == snapshot("""\
Nothing of the change was executed for this. Until it is merged, what the base says is in force.

Tiers: `1`, `2` before, `1`, `3` after.

| box | | |
|--|--|--|
| 1 1\\_readme | changed | title: `readme` → `1_readme`; secrets: nothing → `KEY` |
| 5 Slow | renumbered | was `2`; tier: 2 → 3; timeout: 30 s → 120 s; slow after: 15 s → 60 s |
| 3 gone | removed |  |

Secrets go to protected branches only; members' pull requests reach what `trust.network` lists, strangers' nothing.

| setting | before | after |
|--|--|--|
| `trust.bots` (apps whose pull requests run) | nothing | `7` |
| `trust.network` (what members' pull requests may reach) | nothing | `a.example` |
| `limits.T2.memory` (what a box may use) | as usual | 4 GiB |\
""")
    assert "removes or weakens" in (pr.check("Interlock").summary or "")


@pytest.mark.requirement("S-14")
async def test_a_broken_configuration_of_a_change_is_noted_on_its_lines_and_the_base_s_rules_hold(world: World) -> None:
    world.repository({**BOXES, CONFIG: "boxes: {30: {tier: 1, run: exit 1}}\n"})
    pr = await world.open_pull_request({CONFIG: "boxs: {}\nboxes:\n  30: {tier: 1, run: 'true', timeout: soon}\n"})
    await world.settle()
    assert pr.conclusion == "failure"  # box 30 of the base ran, and is red.
    assert "30 exit 1 | failed" in (pr.check("Interlock / tier 1").summary or "")
    assert "the configuration of this change counts for nothing" in (pr.check("Interlock").summary or "")
    check = pr.check(PREVIEW)
    assert (check.conclusion, check.title) == ("failure", "the new configuration is broken in 2 places")
    notes = [(note["path"], note["start_line"], note["message"]) for note in check.annotations]
    assert notes == [
        (CONFIG, 1, "unknown key 'boxs' (did you mean 'boxes'?)"),
        (CONFIG, 3, "'timeout' is not a duration from 1ms to 168h (write 5m, 30s, 800ms or 1h)"),
    ]


@pytest.mark.requirement("S-14")
async def test_a_broken_configuration_of_the_base_stops_everything_and_its_mender_is_told_so(world: World) -> None:
    world.repository({**BOXES, CONFIG: "\nboxs: {}\n"})
    pr = await world.open_pull_request({CONFIG: "report: {falsify: off}\n"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "action_required"
    assert [(note["path"], note["start_line"]) for note in check.annotations] == [(CONFIG, 2)]
    [run] = [run for run in await world.runs() if run.pr is not None]
    assert f"/octo/app/blob/{run.base_sha}/{CONFIG}#L2) unknown key 'boxs'" in (check.summary or "")
    preview = pr.check(PREVIEW)
    assert preview.conclusion == "neutral"
    assert "This change mends it" in (preview.summary or "")


@pytest.mark.requirement("S-13")
async def test_the_check_and_the_page_state_which_configuration_was_in_force(world: World) -> None:
    world.repository({**BOXES, CONFIG: "report: {falsify: off}\n"})
    pr = await world.open_pull_request({CONFIG: "report: {falsify: require}\n"})
    await world.settle()
    [run] = [run for run in await world.runs() if run.pr is not None]
    said = f"Configuration: `{CONFIG}` at `{run.base_sha[:7]}`, hash `{run.config_hash[:12]}`"
    assert said in (pr.check("Interlock").summary or "")
    assert len(run.config_hash) == 64
    assert said.replace("`", "") in await world.page(f"/runs/{run.number}")


DEFAULT = "defaults: {timeout: 7s}\nboxes: {40: {tier: 1, title: Everywhere, run: echo everywhere; exit 1}}\n"
HOME = "octo/.github"


def organisation(world: World, text: str = DEFAULT) -> None:
    world.repository({CONFIG: text}, name=HOME)


async def test_an_organisation_s_default_counts_where_the_base_says_nothing(world: World) -> None:
    organisation(world)
    world.repository({"README.md": "x"})
    pushed = world.hub.commit(REPO, "main", {"README.md": "y"}, "Change it", "mona")
    pr = await world.open_pull_request({"z": "z"})
    await world.settle()
    for sha in (pushed, pr.head):
        check = pr.checks(sha)["Interlock"]
        assert check.conclusion == "failure"
        assert "40 Everywhere | failed" in (check.summary or "")
        assert f"Configuration: the organisation's, `{CONFIG}` of `{HOME}` at `" in (check.summary or "")
    assert PREVIEW not in pr.checks()


async def test_an_organisation_s_default_is_not_merged_and_an_empty_file_opts_out(world: World) -> None:
    organisation(world)
    world.repository({**BOXES, CONFIG: ""})
    pr = await world.open_pull_request({"z": "z"})
    await world.settle()
    assert pr.conclusion == "success"
    assert "40 " not in (pr.check("Interlock").summary or "")


async def test_a_change_cannot_leave_the_organisation_s_default_by_a_configuration_of_its_own(world: World) -> None:
    organisation(world)
    world.repository(BOXES)
    pr = await world.open_pull_request({CONFIG: "report: {falsify: off}\n"})
    await world.settle()
    assert pr.conclusion == "failure"
    assert "40 Everywhere | failed" in (pr.check("Interlock").summary or "")
    assert "box 40 (Everywhere) was removed" in (pr.check("Interlock").summary or "")
    assert "| 40 Everywhere | removed |" in (pr.check(PREVIEW).summary or "")


async def test_a_default_without_boxes_says_nothing_to_a_repository_without_any(world: World) -> None:
    organisation(world, "report: {falsify: require}\n")
    world.repository({"README.md": "x"})
    pr = await world.open_pull_request({"README.md": "y"})
    await world.settle()
    assert pr.checks() == {}


async def test_a_broken_default_stops_whom_it_concerns_and_says_where_it_is(world: World) -> None:
    organisation(world, "\nboxs: {}\n")
    world.repository(BOXES)
    pr = await world.open_pull_request({"z": "z"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "action_required"
    assert check.annotations == []  # the file is not in this repository.
    assert f"/{HOME}/blob/" in (check.summary or "")
    assert f"/{CONFIG}#L2) unknown key 'boxs'" in (check.summary or "")


async def test_what_an_installation_does_not_cover_has_no_say_although_everybody_may_read_it(world: World) -> None:
    organisation(world)
    world.repository(BOXES)
    covered = world.hub.repository(REPO).id
    world.hub.forge.state.installations.change(
        world.hub.installation("octo"), repository_selection="selected", repository_ids=[covered]
    )
    pr = await world.open_pull_request({"z": "z"})
    await world.settle()
    assert pr.conclusion == "success"
    assert "organisation" not in (pr.check("Interlock").summary or "")


async def test_an_app_that_the_organisation_s_default_lists_may_run(world: World) -> None:
    app = create_user(world.hub.forge, "renovate[bot]", kind="Bot")
    organisation(world, f"trust: {{bots: [{app.id}]}}\n")
    world.repository(BOXES)
    world.hub.commit(REPO, "topic", {"x": "y"}, "Update a dependency", "mona")
    pull = world.hub.open_pull_request(REPO, "topic", "main", "Update a dependency", app.login)
    await world.settle()
    conclusions = {run.name: run.conclusion for run in world.hub.check_runs(REPO, pull.head_sha)}
    assert conclusions["Interlock"] == "success"


@pytest.mark.requirement("S-13", "S-15")
async def test_a_change_cannot_give_itself_limits_hosts_bots_or_secrets(world: World) -> None:
    spy = box("env | grep -c KEY= ; true", title="Spy", secrets="['KEY']", network="['evil.example']")
    world.repository({**BOXES, CONFIG: "limits: {processes: 50}\n"})
    pr = await world.open_pull_request(
        {
            CONFIG: "limits: {processes: 5000}\ntrust: {network: [evil.example], bots: [7]}\nreport: {}\n",
            "boxes/tier-1/1_readme.sh": spy,
            "boxes/tier-1/9_new.sh": spy,
        }
    )
    await world.settle()
    [run] = [run for run in await world.runs() if run.pr is not None]
    plan = json.loads((world.data_dir / "runs" / str(run.number) / "plan.json").read_text())
    assert [(row["box"], row["network"], row["secrets"]) for row in plan] == [(1, [], []), (9, [], []), (2, [], [])]
    assert "falsify" not in (pr.check("Interlock").title or "")
    assert "asks for the secret KEY" in (pr.check("Interlock").summary or "")
