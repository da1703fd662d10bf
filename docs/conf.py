"""Configuration of the documentation: Sphinx with MyST and furo, no request to any other host."""

from __future__ import annotations

import cerro
from cerro import brand

project = "Cerro"
author = "The Cerro developers"
copyright = "The Cerro developers; Apache-2.0"
release = version = cerro.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "Cerro"
html_logo = str(brand.folder() / "logo.svg")
html_favicon = str(brand.folder() / "favicon.svg")
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/home.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

# The tokens of cerro/brand/cerro.css, under furo's names.
_fonts = {
    "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
    "font-stack--monospace": "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
}
html_theme_options = {
    "light_css_variables": {
        **_fonts,
        "color-brand-primary": "#203a82",
        "color-brand-content": "#2c4a9e",
        "color-brand-visited": "#2c4a9e",
        "color-background-primary": "#faf8f5",
        "color-background-secondary": "#f1eee8",
        "color-background-border": "#ded9d0",
        "color-foreground-primary": "#1b2033",
        "color-foreground-secondary": "#5a6075",
    },
    "dark_css_variables": {
        **_fonts,
        "color-brand-primary": "#c3d2ff",
        "color-brand-content": "#9db6ff",
        "color-brand-visited": "#9db6ff",
        "color-background-primary": "#0f1424",
        "color-background-secondary": "#121829",
        "color-background-border": "#2d3650",
        "color-foreground-primary": "#e9e7e3",
        "color-foreground-secondary": "#a7adc0",
    },
}
