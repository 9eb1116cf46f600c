"""An output names the inputs of its run: whoever made the output chose these addresses, so nobody is asked unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_run import make_facts

from rsccli.errors import InputError
from rsccli.geo.linked import ALLOW
from rsccli.run.opened import opened_inputs
from rsccli.run.pictures import read_pictures
from rsccli.run.pixels import open_run_pixels
from rsccli.run.series.stac import read_item_collection


def facts_at(address: str):
    facts = make_facts()
    return replace(facts, post=replace(facts.post, path=address))


@pytest.mark.parametrize("form", ["{}/a.tif", "/vsicurl/{}/a.tif", "/vsicurl_streaming/{}/a.tif"])
def test_no_server_is_asked(listener, form: str) -> None:
    facts = facts_at(form.format(listener.url))
    for opened in (opened_inputs, open_run_pixels):
        with pytest.raises(InputError, match=f"stands in the output.*{ALLOW}=1"), opened(facts):
            pass
    # A report is made all the same, and says why it shows no images.
    assert any(ALLOW in note for note in read_pictures(facts, ["r00000c00000"]).notes)
    assert listener.asked() == []


def test_the_user_may_allow_it(listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW, "1")
    facts = make_facts()
    address = f"{listener.url}/a.tif"
    facts = replace(facts, pre=replace(facts.pre, path=address), post=replace(facts.post, path=address))
    with pytest.raises(InputError, match="cannot be read again"), opened_inputs(facts):
        pass
    assert listener.asked() != []


@pytest.mark.parametrize("href", ["/vsicurl/http://host/a.tif", "/vsistdin/", "<VRTDataset></VRTDataset>"])
def test_a_collection_lists_files_and_addresses_alone(tmp_path, href: str) -> None:
    import json

    path = tmp_path / "items.json"
    items = [{"type": "Feature", "id": "1", "assets": {"visual": {"href": href}}}]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with pytest.raises(InputError, match="neither a file nor an address"):
        read_item_collection(path, None)
