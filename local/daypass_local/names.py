"""The names that the local deployment uses: accounts, region, identity store."""

from pathlib import Path
from typing import Final

HUB_ACCOUNT: Final = "111111111111"
TARGET_ACCOUNT: Final = "222222222222"
PRODUCTION_ACCOUNT: Final = "333333333333"
THIRD_ACCOUNT: Final = "444444444444"
"""A target of those stacks that are asked for three."""
REGION: Final = "us-east-1"
IDENTITY_STORE_ID: Final = "d-1234567890"

REPOSITORY: Final = Path(__file__).resolve().parents[2]
STATE: Final = REPOSITORY / ".local"
