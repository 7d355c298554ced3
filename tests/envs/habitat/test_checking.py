import sys

from clipnav.envs.habitat.checking import check_habitat


def test_everything_works_with_the_fake(habitat_python):
    checks = list(check_habitat(gpu_device_id=-1))
    assert [check.name for check in checks] == ["Python", "habitat-sim", "interface", "drawing"]
    assert all(check.is_ok for check in checks)
    assert checks[0].text == str(habitat_python)
    assert "habitat_sim 0.3.3 (the number that 0.3.4 reports too)" in checks[1].text


def test_a_python_without_habitat_is_reported_with_the_way_to_install_it(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # and without numpy
    python.chmod(0o755)
    *_, last = check_habitat(python)
    assert not last.is_ok
    assert last.name == "habitat-sim"
    assert "No module named 'numpy'; install habitat-sim into a conda environment" in last.text


def test_an_old_habitat_is_reported_with_the_names_that_it_lacks(habitat_python, tmp_path):
    old = habitat_python.with_name("old")
    old.write_text(
        "#!/bin/sh\n"
        f'exec "{habitat_python}" -c "import habitat_sim, sys, runpy; '
        "del habitat_sim.PathFinder.try_step_no_sliding; sys.argv = sys.argv[2:]; "
        'runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"\n'
    )
    old.chmod(0o755)
    *_, last = check_habitat(old)
    assert last.name == "interface"
    assert not last.is_ok
    assert "lacks PathFinder.try_step_no_sliding; install 0.2.2 to 0.3.4" in last.text


def test_a_missing_device_is_reported(habitat_python, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "NONE").write_text("exit")  # the fake reads the file of the empty scene
    *_, last = check_habitat(habitat_python, gpu_device_id=0)
    assert last.name == "drawing"
    assert not last.is_ok
    assert "CUDA device 0; give gpu_device_id=-1" in last.text


def test_no_named_python_is_the_first_step(monkeypatch):
    monkeypatch.delenv("CLIPNAV_HABITAT_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [check] = check_habitat()
    assert not check.is_ok
    assert "conda install -n habitat" in check.text
