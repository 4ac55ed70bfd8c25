"""The sheet of paper that printed documents share, as CSS: A4, its type, its heading. Knows no document."""

CSS = """\
@page { size: A4; margin: 14mm; }
* { box-sizing: border-box; }
:root { color-scheme: light; }
body { font: 10.5pt/1.4 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1d2733;
  background: #fff; max-width: 182mm; margin: 8mm auto; padding: 0 4mm; }
@media print { body { margin: 0; padding: 0; max-width: none; } }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 6mm;
  border-bottom: 0.6mm solid #1f4e79; padding-bottom: 1.5mm; }
h1 { font-size: 16pt; margin: 0; }
"""
