"""The only room, besides pages/, that imports Streamlit."""
