"""What all pictures have in common: axes, colours that colour-blind readers tell apart, styles, tick labels."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

# Okabe and Ito, "Color Universal Design", 2008.
BLACK, BLUE, ORANGE, GREEN, PINK, GREY = "#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
SEVERAL = (BLUE, ORANGE, GREEN, PINK, "#56B4E9", "#E69F00", BLACK, GREY)
SIZES, SIGNED = "Blues", "PuOr"
LONGEST_NAME = 24
# Inches: of an entry of a legend, of a tick label; axes that are narrower get small letters.
ENTRY, SMALL_ENTRY, TICK, NARROW = 1.25, 0.95, 0.55, 3.0


def open_axes(display, ax, size=None):
    """Return the axes to draw on, new ones in a new figure if there are none.

    Parameters
    ----------
    display : object
        Whose method `plot` was called.
    ax : matplotlib Axes or None
    size : tuple of float or None
        Width and height of a new figure in inches.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    elif not isinstance(ax, Axes):
        raise TypeError(f"ax must be one matplotlib Axes, found {type(ax).__name__}.")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def style(defaults, given, name, kind):
    """Return keyword arguments for a matplotlib artist: the defaults, changed by those of the user.

    Parameters
    ----------
    defaults : dict
    given : dict or None
    name : str
        Of the argument.
    kind : type
        Class of the artist, whose aliases (``lw``, ``c``) are known.
    """
    from matplotlib.cbook import normalize_kwargs

    if given is None:
        return defaults
    if not isinstance(given, dict):
        raise TypeError(f"{name} must be a dict of keyword arguments for matplotlib, found {type(given).__name__}.")
    return {**defaults, **normalize_kwargs(given, kind)}


def draw_curve(ax, x, y, defaults, given, name):
    """Draw a curve, a single point as a marker, and return its Line2D.

    Parameters
    ----------
    ax : matplotlib Axes
    x, y : ndarray of shape (n_points,)
    defaults : dict
        Keyword arguments of `Axes.plot`.
    given : dict or None
        Those of the user.
    name : str
        Of the argument that held them.
    """
    from matplotlib.lines import Line2D

    alone = {"marker": "o"} if len(x) == 1 else {}
    (line,) = ax.plot(x, y, **style({**alone, **defaults}, given, name, Line2D))
    return line


def check_choice(value, choices, name):
    """Raise a ValueError unless a value is one of some strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r}, expected one of {tuple(choices)}.")


def check_names(names, n, name="feature_names"):
    """Return names for n columns as a list of str; x0, x1, ... if there are none."""
    if names is None:
        return [f"x{k}" for k in range(n)]
    names = [str(one) for one in names]
    if len(names) != n:
        raise ValueError(f"{name} has {len(names)} names, expected {n}.")
    return names


def shortened(name):
    """Return a name that fits beside an axis, by its beginning and its end, and is not read as a formula."""
    if len(name) > LONGEST_NAME:
        name = name[: LONGEST_NAME // 2] + "…" + name[1 - LONGEST_NAME // 2 :]
    return name.replace("$", r"\$")


def legend(ax, handles=None):
    """Put the legend above the axes, where it covers nothing, in as many columns as there is room for."""
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    if not handles:
        return
    labels = [one.get_label() for one in handles]
    width = width_of(ax)
    form = {"ncols": max(1, min(len(labels), int(width / ENTRY))), "frameon": False, "borderaxespad": 0.2}
    if width < NARROW:
        form |= {"fontsize": "small", "columnspacing": 0.6, "handlelength": 1.0, "handletextpad": 0.4}
        form["ncols"] = max(1, min(len(labels), int(width / SMALL_ENTRY)))
    ax.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), **form)


def label_axes(ax, x_label, y_label, handles=None):
    """Write what curves show: labels at both axes, the vertical one in letters that fit, and a legend (see there)."""
    ax.set_xlabel(x_label)
    height = ax.get_position().height * ax.figure.get_figheight()
    ax.set_ylabel(y_label, fontsize="medium" if height > NARROW else "small" if height > NARROW / 2 else "x-small")
    legend(ax, handles)


def width_of(ax):
    """Return the width of some axes in inches."""
    return ax.get_position().width * ax.figure.get_figwidth()


def whole_ticks(ax, which="x"):
    """Put ticks at whole numbers only, and no more than there is room for."""
    from matplotlib.ticker import MaxNLocator

    n_bins = 8 if which == "y" else int(np.clip(width_of(ax) / TICK, 2, 8))
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(MaxNLocator(nbins=n_bins, integer=True, min_n_ticks=1))


def draw_image(ax, values, rows, *, signed, label, colorbar, given, extent, limits=None):
    """Draw a matrix as an image, its first row on top.

    Parameters
    ----------
    ax : matplotlib Axes
    values : ndarray of shape (n_rows, n_columns)
    rows : list of str or None
        Their names; None for numbers.
    signed : bool
        Whether values have a sign: 0 is then in the middle of the colours.
    label : str
        Of the colour bar.
    colorbar : bool
    given : dict or None
        The user's `image_kwargs`.
    extent : tuple of float
        Left and right edge.
    limits : tuple of float or None, default=None
        Smallest and largest value that have colours of their own; None for 0, or minus the largest size, and it.

    Returns
    -------
    AxesImage, Colorbar or None
    """
    from matplotlib.image import AxesImage

    if limits is None:
        largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
        limits = -largest if signed else min(0.0, float(np.nanmin(values, initial=0.0))), largest
    defaults = {
        "cmap": SIGNED if signed else SIZES,
        "vmin": limits[0],
        "vmax": limits[1],
        "aspect": "auto",
        "interpolation": "nearest",
        "extent": (*extent, len(values) - 0.5, -0.5),
    }
    image = ax.imshow(values, **style(defaults, given, "image_kwargs", AxesImage))
    if rows is not None:
        ax.set_yticks(range(len(rows)), [shortened(one) for one in rows])
    bar = ax.figure.colorbar(image, ax=ax, label=label) if colorbar else None
    return image, bar


def height_of(n_rows):
    """Return the height of a figure, in inches, in which so many names stand below each other."""
    return float(np.clip(1.6 + 0.28 * n_rows, 3.0, 12.0))


def strongest(sizes, most):
    """Return the places of the largest sizes, largest first, and those of all others."""
    order = np.argsort(-np.nan_to_num(sizes, nan=-np.inf), kind="stable")
    return order[:most], order[most:]


def check_count(value, name):
    """Return a number of at least 1, or raise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r}, expected an integer of at least 1.")
    return int(value)
