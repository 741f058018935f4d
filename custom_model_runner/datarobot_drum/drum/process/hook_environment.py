"""The process as model code finds it: signals, forks and event loops behave the same on all servers."""

from datarobot_drum.drum.process.event_loops import provide_event_loops
from datarobot_drum.drum.process.forks import isolate_forks
from datarobot_drum.drum.process.hook_signals import hook_signals
from datarobot_drum.drum.process.signals import limit_exit_time


def prepare_for_hooks(graceful_timeout: float, *, main_thread_runs_hooks: bool = True) -> None:
    """Prepare a process that loads and runs a model; call it in the main thread, before the model loads.

    Args:
        graceful_timeout: seconds that processes and threads of the model may take to end, at most.
        main_thread_runs_hooks: False if only other threads load the model and predict.
    """
    hook_signals.install(main_thread_runs_hooks=main_thread_runs_hooks)
    isolate_forks()
    provide_event_loops()
    limit_exit_time(graceful_timeout)
