"""The rows of the attack table, in the order in which it is printed, and what each rung is known not to stop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attack.

    `leaves` is the box that prepares it a tier earlier; `beside`: it needs a neighbour. `by_runner`: the runner itself
    stops it, sandbox or not. `may_be_errored`: a box that is errored for it was stopped. `open_at` are the levels that
    are known to let it through, with the reason, as the explanation of isolation says too.
    """

    name: str
    says: str
    leaves: str = ""
    beside: bool = False
    by_runner: bool = False
    may_be_errored: bool = False
    open_at: tuple[tuple[str, str], ...] = ()

    def is_open_at(self, level: str) -> bool:
        """Whether it is known to succeed there."""
        return level in dict(self.open_at)


def _row(name: str, says: str, **more: object) -> Row:
    return Row(name=name, says=says, **more)  # type: ignore[arg-type]


_UNSIZED = (("landlock", "the copy of the tree has no size of its own there"),)

ROWS: tuple[Row, ...] = (
    _row("read_the_bots_secret_file", "read a 0600 file of the bot"),
    _row("find_a_secret_in_own_environment", "find the bot's secret in its own environment"),
    _row("find_a_secret_in_any_environment", "find it in /proc/*/environ, process 1 included"),
    _row("see_the_bots_command_line", "see the bot's command line"),
    _row("read_another_runs_workspace", "read another run's workspace (0755)"),
    _row("write_into_another_runs_workspace", "write into it"),
    _row("plant_a_git_hook_in_a_shared_clone", "plant a git hook in a shared clone"),
    _row("climb_out_of_the_tree", "see what lies beside the tree (`..`)"),
    _row("follow_a_link_of_the_tree", "follow a link in the tree to a secret"),
    _row("read_root_s_home", "list root's home"),
    _row("read_the_password_hashes", "read /etc/shadow"),
    _row("read_the_event_record", "read the run's event record"),
    _row("write_into_the_event_record", "write into the run's event record"),
    _row("write_the_report_of_another_box", "write the report of another box", beside=True),
    _row("change_the_runners_library", "change $BOX_LIB or the interpreter's modules"),
    _row("reach_a_port_of_the_machine", "connect to a TCP port of the machine's loopback"),
    _row("send_a_datagram", "exchange UDP datagrams with the machine"),
    _row("find_a_route_out", "find a route out, or another interface"),
    _row("reach_an_abstract_socket", "connect to an abstract unix socket"),
    _row(
        "reach_a_socket_file",
        "connect to a unix socket file (0666)",
        open_at=(("landlock", "Landlock does not govern connecting to socket files"),),
    ),
    _row("open_a_packet_socket", "open a packet socket"),
    _row("use_an_inherited_descriptor", "use a descriptor that the caller left open", by_runner=True),
    _row("signal_the_bot", "signal the bot"),
    _row("freeze_another_box", "freeze another box", beside=True),
    _row("trace_the_bot", "trace the bot"),
    _row("read_the_bots_memory", "read the bot's memory"),
    _row("type_into_the_callers_terminal", "type into the caller's terminal (TIOCSTI)"),
    _row("leave_a_key_in_a_keyring", "leave a key in the kernel's keyring"),
    _row("mount_something", "mount"),
    _row("write_the_core_pattern", "write the core pattern"),
    _row("write_a_kernel_setting", "write another kernel setting"),
    _row("make_a_user_namespace", "make a user namespace"),
    _row("use_io_uring", "use io_uring"),
    _row("load_a_bpf_program_or_watch_the_kernel", "use bpf or perf_event_open"),
    _row("keep_the_way_to_more_rights_open", "gain rights by set-user-id programs"),
    _row("have_capabilities", "have capabilities"),
    _row("be_root", "be root"),
    _row("rename_the_machine", "rename the machine"),
    _row("write_outside_of_its_places", "write into /, /etc, /usr, /run, /var or /dev"),
    _row("speak_in_the_sandbox_s_place", "tell the runner in the sandbox's place how it ended"),
    _row("change_the_memory_of_who_started_it", "change the memory of the process that tells how it ended"),
    _row("leave_its_control_group", "leave its control group"),
    _row("find_a_way_into_a_control_group", "take a descriptor of a control group from who has one"),
    _row("read_the_kernel_log", "read the kernel's log"),
    _row("read_the_kernels_memory", "read the kernel's memory (/proc/kcore)"),
    _row("make_a_device", "make a device"),
    _row("read_a_raw_disk", "open a raw disk"),
    _row("dump_core", "dump core"),
    _row("fork_400_times", "fork 400 times", may_be_errored=True),
    _row("take_memory", "take 400 MiB of memory", may_be_errored=True),
    _row("write_one_large_file", "write a file of 96 MiB", may_be_errored=True),
    _row("fill_the_tree", "write 96 MiB into the tree in many files", open_at=_UNSIZED),
    _row("fill_tmp", "write 96 MiB into /tmp"),
    _row("fill_shared_memory", "write 96 MiB into /dev/shm"),
    _row("fill_its_own_places", "write 96 MiB into $BOX_ARTIFACTS", open_at=_UNSIZED),
    _row("find_the_tree_changed", "change the tree that a later box sees", leaves="change_the_tree"),
    _row(
        "find_files_in_shared_places",
        "leave files for a later box (/tmp, /dev/shm, /var/tmp)",
        leaves="leave_files_in_shared_places",
    ),
    _row(
        "find_shared_memory",
        "leave System V shared memory for a later box",
        leaves="leave_shared_memory_behind",
    ),
    _row("find_the_daemon", "leave a daemon for a later box", leaves="leave_a_daemon", by_runner=True),
    _row("leave_links_as_artifacts", "have links and pipes collected as artifacts", by_runner=True),
    _row(
        "leave_links_as_reports", "have a link read as $BOX_REPORT or $BOX_JUNIT", by_runner=True, may_be_errored=True
    ),
)
