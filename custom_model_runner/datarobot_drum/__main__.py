"""``python -m datarobot_drum`` is ``drum``."""

from datarobot_drum.drum.main import main

if __name__ == "__main__":
    main()
