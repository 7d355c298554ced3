import pytest

from clipnav.storage.extras import import_extra


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_a_missing_package_is_named_with_its_extra(module):
    message = r"^a\.hdf5: reading requires the package no_such_package: pip install 'clipnav\[fo"
    with pytest.raises(ModuleNotFoundError, match=message):
        import_extra(module, "formats", "a.hdf5: reading")
