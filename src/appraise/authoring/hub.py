"""The hub's commit of a dataset, which pins what is offered."""

from __future__ import annotations

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from appraise.errors import OfferError


def commit(identity: str) -> str:
    """The commit that a dataset of the hub is at now.

    Raises:
        OfferError: there is no such dataset, or the hub cannot be reached.
    """
    try:
        found = HfApi().dataset_info(identity).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        what = " ".join(str(error).split())[:160]
    else:
        if found:
            return str(found)
        what = "no commit"
    raise OfferError(
        f"{identity}: expected a file, or a dataset on the hub, found neither ({what}); "
        "correct the name, or give the commit with --revision"
    )
