"""Colours and fonts. The ECG paper is light in every theme; traces look the same everywhere."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from echoing_gui import resources
from echoing_gui.state import ThemeChoice

FONT_FAMILY = "Inter"
# Qt's style that looks the same on every system.
STYLE = "Fusion"

PAPER = "#fffcf9"
GRID_FINE = "#f7dede"
GRID_HEAVY = "#e3a9a9"
TRACE = "#101418"
PAPER_TEXT = "#1c2228"
PAPER_MUTED = "#5a6169"
HATCH = "#8a9097"
RED_TAG = "#b00020"
BLUE_TAG = "#0b4f8a"
AMBER = "#ffd98a"
AMBER_TEXT = "#4a3500"
# Share of a segment variance's colour in the tint of the paper behind a trace.
TINT = 0.35
# Colours that are remembered from one frame to the next.
_MOST_CELLS = 4096


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours of everything around the paper.

    Attributes
    ----------
    window, base, raised
        Backgrounds: of the window, of fields and panels, of buttons.
    text, muted
        Text, and text of lesser weight; both at least 4.5:1 on `window` and `base`.
    line
        Lines between parts, and axes.
    edge
        What can be changed or pressed ends here; at least 3:1 on the three backgrounds.
    accent, on_accent
        Selection and focus, and text on it.
    interval, mark
        Prediction interval and point estimate.
    caution, caution_text
        Background and text of cautions.
    refusal, refusal_text
        Background and text of refusals and errors.
    notice, notice_text
        Background and text of the banner that stands beside every result.
    """

    window: str
    base: str
    raised: str
    text: str
    muted: str
    line: str
    edge: str
    accent: str
    on_accent: str
    interval: str
    mark: str
    caution: str
    caution_text: str
    refusal: str
    refusal_text: str
    notice: str
    notice_text: str


LIGHT = Colours(
    window="#eef0f2",
    base="#ffffff",
    raised="#f8f9fa",
    text="#1c2228",
    muted="#545c65",
    line="#b9c0c7",
    edge="#7b848e",
    accent="#0b5cad",
    on_accent="#ffffff",
    interval="#568bbd",
    mark="#12304f",
    caution="#fdf0cf",
    caution_text="#5c4300",
    refusal="#fbe3e4",
    refusal_text="#7d0f1b",
    notice="#e3e9f7",
    notice_text="#23355e",
)
DARK = Colours(
    window="#1d2126",
    base="#262b31",
    raised="#323840",
    text="#eceff2",
    muted="#aeb6bf",
    line="#4d555f",
    edge="#858e99",
    accent="#6cb0f2",
    on_accent="#0c1a28",
    interval="#5a8fc0",
    mark="#f2f6fa",
    caution="#4a3a10",
    caution_text="#ffe3a0",
    refusal="#512227",
    refusal_text="#ffd0d3",
    notice="#2b3a5c",
    notice_text="#dbe5ff",
)

# cividis: Nunez, Anderton & Renslow 2018, doi:10.1371/journal.pone.0199239; the colours are CC0.
# 256 colours, six hexadecimal digits each.
_CIVIDIS = (
    "00224e00234f00245100255300255400265600275800285900285b00295d002a5f002a61002b62002c64"
    "002c66002d68002e6a002e6c002f6d00306f0030700031700031710132710533710833700c34700f3570"
    "12357014367016377018376f1a386f1c396f1e3a6f203a6f213b6e233c6e243c6e263d6e273e6e293f6e"
    "2a3f6d2b406d2d416d2e416d2f426d31436d32436d33446d34456c35456c36466c38476c39486c3a486c"
    "3b496c3c4a6c3d4a6c3e4b6c3f4c6c404c6c414d6c424e6c434e6c444f6c45506c46516c47516c48526c"
    "49536c4a536c4b546c4c556c4d556c4e566c4f576c50576c51586d52596d535a6d545a6d555b6d555c6d"
    "565c6d575d6d585e6d595e6e5a5f6e5b606e5c616e5d616e5e626e5e636f5f636f60646f61656f62656f"
    "636670646770656870656870666970676a71686a71696b716a6c716b6d726c6d726c6e726d6f726e6f73"
    "6f70737071737172747272747273747374757474757575757676767777767777777878777979777a7a78"
    "7b7a787c7b787d7c787e7c787e7d787f7e78807f78817f78828079838179848279858279868379878478"
    "8885788985788a86788b87788c88788d88788e89788f8a78908b78918b78928c78928d78938e78948e77"
    "958f779690779791779892779992779a93769b94769c95769d95769e96769f9775a09875a19975a29975"
    "a39a74a49b74a59c74a69c74a79d73a89e73a99f73aaa073aba072aca172ada272aea371afa471b0a571"
    "b1a570b3a670b4a76fb5a86fb6a96fb7a96eb8aa6eb9ab6dbaac6dbbad6dbcae6cbdae6cbeaf6bbfb06b"
    "c0b16ac1b26ac2b369c3b369c4b468c5b568c6b667c7b767c8b866c9b965cbb965ccba64cdbb63cebc63"
    "cfbd62d0be62d1bf61d2c060d3c05fd4c15fd5c25ed6c35dd7c45cd9c55cdac65bdbc75adcc859ddc858"
    "dec958dfca57e0cb56e1cc55e2cd54e4ce53e5cf52e6d051e7d150e8d24fe9d34eead34cebd44bedd54a"
    "eed649efd748f0d846f1d945f2da44f3db42f5dc41f6dd3ff7de3ef8df3cf9e03afbe138fce236fde334"
    "fee434fee535fee636fee838"
)


@functools.lru_cache(maxsize=_MOST_CELLS)
def variance_rgb(variance: float, scale: tuple[float, float]) -> tuple[int, int, int]:
    """Colour of a segment variance: cividis over a fixed logarithmic scale.

    Dark is high: on light paper the eye takes dark for more.

    Parameters
    ----------
    variance
        Dimensionless, positive and finite.
    scale
        Lowest and highest variance of the scale; values outside take the colour of its end.

    Returns
    -------
    tuple of int
        Red, green, blue, 0 to 255.
    """
    low, high = (math.log(end) for end in scale)
    share = (math.log(max(variance, 1e-30)) - low) / (high - low)
    return cividis_rgb(1 - share)


def cividis_rgb(share: float) -> tuple[int, int, int]:
    """Colour of cividis, from dark blue at 0 to yellow at 1.

    Examples
    --------
    >>> cividis_rgb(0.0), cividis_rgb(1.0)
    ((0, 34, 78), (254, 232, 56))
    """
    index = round(255 * min(max(share, 0.0), 1.0))
    code = _CIVIDIS[6 * index : 6 * index + 6]
    return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)


@functools.lru_cache(maxsize=_MOST_CELLS)
def tint_rgb(variance: float, scale: tuple[float, float]) -> tuple[int, int, int]:
    """Pale colour of a segment variance: `variance_rgb` at 35 % on the paper."""
    paper = QColor(PAPER)
    on = paper.red(), paper.green(), paper.blue()
    strong = variance_rgb(variance, scale)
    red, green, blue = (round((1 - TINT) * p + TINT * s) for p, s in zip(on, strong, strict=True))
    return red, green, blue


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.1, relative luminance).

    Examples
    --------
    >>> round(contrast("#000000", "#ffffff"))
    21
    """

    def luminance(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def load_fonts() -> None:
    """Make the program's own font known to Qt: texts measure the same on every system."""
    for name in ("Inter-Regular.otf", "Inter-SemiBold.otf"):
        QFontDatabase.addApplicationFont(str(resources.asset("fonts", name)))


def plain(font: QFont) -> QFont:
    """Let a font write what there is: Inter makes ``5000x12`` a multiplication, in names too.

    In a PDF, characters of such contextual shapes could not even be copied.
    """
    font.setFeature(QFont.Tag("calt"), 0)
    return font


def text_font(size_px: float, *, bold: bool = False) -> QFont:
    """Font for painted text.

    Parameters
    ----------
    size_px
        Height in pixels of the paint device.
    bold
        Semi-bold.
    """
    font = plain(QFont(FONT_FAMILY))
    font.setPixelSize(max(1, round(size_px)))
    if bold:
        font.setWeight(QFont.Weight.DemiBold)
    return font


def colours_for(choice: ThemeChoice) -> Colours:
    """Colours of a theme; the system's choice if the user made none."""
    if choice is ThemeChoice.SYSTEM:
        dark = QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark
        return DARK if dark else LIGHT
    return DARK if choice is ThemeChoice.DARK else LIGHT


def apply_theme(choice: ThemeChoice) -> None:
    """Give the whole program the colours of a theme; does nothing where it has them."""
    app = QApplication.instance()
    if isinstance(app, QApplication):
        apply_colours(app, colours_for(choice))


def apply_colours(app: QApplication, colours: Colours) -> None:
    """Give the whole program its colours; does nothing where it has them."""
    size_pt = app.font().pointSizeF()
    sizes = {"headline_pt": f"{1.3 * size_pt:.1f}pt", "value_pt": f"{1.5 * size_pt:.1f}pt"}
    sheet = _STYLE.format(**dataclasses.asdict(colours), **sizes)
    if app.styleSheet() == sheet:
        return
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.window,
        QPalette.ColorRole.Base: colours.base,
        QPalette.ColorRole.AlternateBase: colours.raised,
        QPalette.ColorRole.Button: colours.raised,
        QPalette.ColorRole.ToolTipBase: colours.base,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.ToolTipText: colours.text,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.Accent: colours.accent,
        QPalette.ColorRole.Link: colours.accent,
        # Fusion draws frames and grooves in these; without them, a dark window has white ones.
        QPalette.ColorRole.Light: colours.raised,
        QPalette.ColorRole.Midlight: colours.line,
        QPalette.ColorRole.Mid: colours.line,
        QPalette.ColorRole.Dark: colours.edge,
        QPalette.ColorRole.Shadow: colours.edge,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.muted))
    app.setPalette(palette)
    is_styled = bool(app.styleSheet())
    # Where rules are kept for widgets, another style sheet styles each widget again for each of its
    # ancestors: 250 ms. Without them it does nothing, and the new style goes once through them all.
    app.style().unpolish(app)
    app.setStyleSheet(sheet)
    if is_styled:
        app.setStyle(STYLE)


def rename(widget: QWidget, name: str) -> None:
    """Give a widget another name, and the looks of that name to it and to what is in it."""
    if widget.objectName() == name:
        return
    widget.setObjectName(name)
    for each in (widget, *widget.findChildren(QWidget)):
        each.style().unpolish(each)
        each.style().polish(each)


_STYLE = """
QToolTip {{ color: {text}; background: {base}; border: 1px solid {line}; padding: 3px; }}
QToolBar {{ background: {window}; border: 0; border-bottom: 1px solid {line}; spacing: 2px;
  padding: 3px; }}
QToolBar QLabel {{ color: {muted}; padding: 0 2px 0 6px; }}
QToolBar QToolButton {{ border: 1px solid transparent; border-radius: 4px; padding: 4px 8px; }}
QToolBar QToolButton:hover {{ border-color: {line}; }}
QToolBar QToolButton:checked {{ background: {accent}; color: {on_accent}; }}
QToolBar QToolButton:focus {{ border: 2px solid {accent}; padding: 3px 7px; }}
QToolBar QToolButton[popupMode="2"] {{ border-color: {line}; padding-right: 18px; }}
QToolBar QToolButton[popupMode="2"]:hover {{ border-color: {accent}; }}
QToolBar QToolButton[popupMode="2"]:focus {{ border: 2px solid {accent}; padding-right: 17px; }}
QToolBar QToolButton::menu-indicator {{ subcontrol-position: right center; right: 5px; }}
QToolBar #qt_toolbar_ext_button {{ padding: 0; }}
QPushButton {{ background: {raised}; border: 1px solid {edge}; border-radius: 4px;
  padding: 5px 12px; }}
QPushButton:hover {{ border-color: {accent}; }}
QPushButton:focus {{ border: 2px solid {accent}; padding: 4px 11px; }}
QPushButton:default {{ background: {accent}; color: {on_accent}; }}
QPushButton:disabled {{ background: {window}; color: {muted}; border-color: {line}; }}
QLineEdit, QPlainTextEdit {{ background: {base}; border: 1px solid {edge}; border-radius: 3px;
  padding: 3px; }}
QLineEdit:focus, QPlainTextEdit:focus {{ border: 2px solid {accent}; padding: 2px; }}
QScrollBar {{ background: {window}; border: 0; }}
QScrollBar:vertical {{ width: 14px; }}
QScrollBar:horizontal {{ height: 14px; }}
QScrollBar::handle {{ background: {edge}; border-radius: 4px; margin: 3px; }}
QScrollBar::handle:vertical {{ min-height: 24px; }}
QScrollBar::handle:horizontal {{ min-width: 24px; }}
QScrollBar::handle:hover {{ background: {muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QCheckBox::indicator:unchecked {{ border: 1px solid {muted}; border-radius: 2px;
  background: {base}; width: 12px; height: 12px; }}
QRadioButton::indicator {{ border: 1px solid {muted}; border-radius: 7px; background: {base};
  width: 12px; height: 12px; }}
QRadioButton::indicator:checked {{ background: qradialgradient(cx: 0.5, cy: 0.5, radius: 0.5,
  fx: 0.5, fy: 0.5, stop: 0 {accent}, stop: 0.55 {accent}, stop: 0.65 {base}, stop: 1 {base}); }}
#side, #side QScrollArea, #sideContent {{ background: {base}; border: 0; }}
#side QScrollArea {{ border: 2px solid {base}; }}
#side QScrollArea:focus {{ border-color: {accent}; }}
#focusLine {{ background: {accent}; }}
QAbstractItemView {{ border: 1px solid {line}; padding: 1px; }}
QAbstractItemView:focus {{ border: 2px solid {accent}; padding: 0; }}
QHeaderView {{ border: 0; padding: 0; }}
QCheckBox, QRadioButton {{ border: 2px solid transparent; border-radius: 4px; padding: 1px; }}
QCheckBox:focus, QRadioButton:focus {{ border-color: {accent}; }}
QComboBox:focus {{ background: {accent}; color: {on_accent}; }}
QTabBar::tab {{ background: {window}; border: 1px solid {line}; padding: 5px 11px; margin: 1px; }}
QTabBar::tab:right {{ padding: 5px; }}
QTabBar::tab:selected {{ background: {base}; border-color: {edge}; }}
QTabBar::tab:selected:focus {{ border: 2px solid {accent}; }}
#headline {{ font-size: {headline_pt}; font-weight: 600; }}
#panelTitle {{ font-weight: 600; color: {muted}; }}
#muted {{ color: {muted}; }}
#fold {{ font-weight: 600; color: {muted}; border: 1px solid transparent; border-radius: 4px;
  padding: 2px; }}
#fold:focus {{ border: 2px solid {accent}; padding: 1px; }}
#stretch {{ font-weight: 600; }}
#value {{ font-size: {value_pt}; font-weight: 600; }}
#banner {{ background: {notice}; color: {notice_text}; border-radius: 4px; padding: 7px;
  font-weight: 600; }}
#caution {{ background: {caution}; color: {caution_text}; border-radius: 4px; padding: 7px; }}
#chip {{ background: {caution}; color: {caution_text}; border: 1px solid {caution_text};
  border-radius: 9px; padding: 2px 9px; font-weight: 600; }}
#chip:focus {{ border: 2px solid {accent}; padding: 1px 8px; }}
#refusal {{ background: {refusal}; color: {refusal_text}; border-radius: 4px; padding: 7px; }}
#messageInfo {{ background: {notice}; color: {notice_text}; }}
#messageError {{ background: {refusal}; color: {refusal_text}; }}
#messageInfo QLabel {{ color: {notice_text}; }}
#messageError QLabel {{ color: {refusal_text}; }}
#scaleWarning {{ color: {refusal_text}; background: {refusal}; font-weight: 600; border: 0;
  border-radius: 3px; padding: 2px 8px; }}
#scaleFine {{ border: 0; padding: 2px 8px; }}
#scaleWarning:focus, #scaleFine:focus {{ border: 2px solid {accent}; }}
QStatusBar {{ border-top: 1px solid {line}; }}
"""
