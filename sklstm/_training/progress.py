"""What is printed during a training."""

from time import perf_counter

from sklstm._training.schedules import SCHEDULES


class Progress:
    """Prints a line for each epoch: losses, score, seconds, and the time that is left.

    Parameters
    ----------
    settings : Settings
        Silent unless `verbose`.
    first_epoch : int
        Number of epochs trained before.
    """

    def __init__(self, settings, first_epoch):
        self.label = settings.label
        self.is_on, self.epoch, self.last = settings.verbose, first_epoch, first_epoch + settings.max_iter
        self.at_most = "" if SCHEDULES[settings.schedule].has_end else "at most "
        self.n_epochs, self.begin = 0, perf_counter()
        self.end = self.begin

    def report_start(self, score):
        """Print what the linear part reaches alone."""
        if self.is_on:
            print(f"{self.label}Linear part alone: validation score {score:.6f}\n", end="", flush=True)

    def report(self, epoch):
        """Print the line of an epoch that has just ended."""
        now = perf_counter()
        seconds, self.end = now - self.end, now
        self.epoch, self.n_epochs = self.epoch + 1, self.n_epochs + 1
        if not self.is_on:
            return
        parts = [f"{self.label}Epoch {self.epoch}/{self.last}: loss {epoch.loss:.6f}"]
        if epoch.validation_loss is not None:
            parts.append(f"validation loss {epoch.validation_loss:.6f}")
            parts.append(f"validation score {epoch.validation_score:.6f}")
        parts.append(in_words(seconds))
        if self.epoch < self.last:
            left = (now - self.begin) / self.n_epochs * (self.last - self.epoch)
            parts.append(f"{self.at_most}{in_words(left)} left")
        # One call of write: networks that are trained side by side do not mix their lines.
        print(", ".join(parts) + "\n", end="", flush=True)


def in_words(seconds):
    """Return a duration in readable units: 0.012 s, 3.4 s, 2 min 5 s, 3 h 12 min."""
    if seconds < 0.9995:
        return f"{seconds:.3f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
