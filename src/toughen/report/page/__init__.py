"""Owns the parts of the HTML pages: each module one part of them, made of escaped text; the style lies beside as page.css."""
