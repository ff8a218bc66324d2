"""FINE-TUNE → people: a night's curves as a TensorBoard log. Loads no TensorFlow: tensorboard brings its own writer."""

import io

from training.account import Account, curves, ends


def event_file(account: Account) -> bytes:
    """An event file: a scalar per epoch and series ("train/head_loss"; steps count from 1), and the files' accuracies.

    The format is TFRecord with `tensorflow.Event` messages; times are the night's beginning plus the step, for the order.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    writer = RecordWriter(file)
    writer.write(Event(wall_time=account.began, file_version="brain.Event:2").SerializeToString())
    for tag, step, value in scalars(account):
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.write(Event(wall_time=account.began + step, step=step, summary=summary).SerializeToString())
    writer.flush()
    return file.getvalue()


def scalars(account: Account) -> list[tuple[str, int, float]]:
    """(tag, step, value): what is logged, here and at a tracking server."""
    lines = curves(account.history)
    found = [(f"train/{name}", step, value) for name, values in lines.items() for step, value in enumerate(values, 1)]
    found += [(f"train/{name}", 1, value) for name, value in ends(account.history).items() if name not in lines]
    for name, report in account.reports.items():
        if report and report["accuracy"] is not None:
            found.append((f"held_out/{name}_accuracy", 0, float(report["accuracy"])))
    return found
