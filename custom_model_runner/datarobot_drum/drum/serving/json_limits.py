"""The limits of a JSON body, for the routes that parse one."""

from datarobot_drum.drum.tabular.json_limits import check_json

__all__ = ["check_json"]
