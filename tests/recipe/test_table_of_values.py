"""A table of two values and of groups, from its columns to predictions, answers, report and the last line."""

import json

import numpy as np
from option_runs import write_photos

import tfl


def test_names_and_groups_of_a_table_reach_every_output(tmp_path, capsys):
    write_photos(tmp_path / "photos", (20, 20))
    rows = ["path,price,age,patient"]
    for label, number in np.ndindex(2, 20):
        values, patient = f"{10 * label + number / 10 + 0.5},{number / 3}", f"{label}_{number // 4}"
        rows.append(f"photos/class_{label}/{number}.png,{values},{patient}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"csv:{tmp_path / 't.csv'}", columns="label=price+age", image_size=32),
        task=tfl.TaskConfig(name="regression"),
        backbone=tfl.BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        finetune=tfl.FinetuneConfig(epochs=0),
    )
    result = tfl.transfer(config, tmp_path / "run")
    groups = result.metrics["num_groups"]
    assert f"; the interval resamples {groups} groups, which are so few that" in capsys.readouterr().err
    assert result.model.metadata.class_names == ("price", "age")
    assert (tmp_path / "run" / "predictions.csv").read_text().startswith("id,label,predicted,p_price,p_age\n")
    (answer,) = result.predict(tmp_path / "photos" / "class_0" / "0.png")
    assert [each["name"] for each in answer["values"]] == ["price", "age"]
    report = (tmp_path / "run" / "report.html").read_text()
    assert f"come from {groups} groups" in report and "for the values price, age." in report
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    again = tfl.evaluate_workdir(tmp_path / "run")
    assert again["num_groups"] == evaluation["num_groups"] == groups
    assert again["intervals"] == evaluation["intervals"]
