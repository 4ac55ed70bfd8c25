"""Figures by group, with n and intervals. Arrays and tables only; no files, Keras or Streamlit."""
