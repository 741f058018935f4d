"""The process as model code finds it: signals, forks and event loops behave the same on all servers."""

from datarobot_drum.drum.process.event_loops import provide_event_loops
from datarobot_drum.drum.process.forks import isolate_forks
from datarobot_drum.drum.process.hook_signals import hook_signals
from datarobot_drum.drum.process.signals import limit_exit_time
from datarobot_drum.drum.settings.build import Settings


def prepare_for_hooks(settings: Settings, *, main_thread_runs_hooks: bool = True) -> None:
    """Prepare a process that loads and runs a model; call it in the main thread, before the model loads.

    Args:
        main_thread_runs_hooks: False if only other threads load the model and predict.
    """
    hook_signals.install(main_thread_runs_hooks=main_thread_runs_hooks)
    isolate_forks(settings.port)
    provide_event_loops()
    limit_exit_time(settings.server.graceful_timeout)
