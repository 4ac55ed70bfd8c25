"""The app: which pages there are. `streamlit run streamlit_app.py`."""

import streamlit as st

st.set_page_config(page_title="Derm", page_icon=":material/dermatology:", layout="wide")
st.navigation([
    st.Page("pages/diagnose.py", title="Diagnose", icon=":material/dermatology:", default=True),
    st.Page("pages/explore.py", title="Explore", icon=":material/grid_view:"),
    st.Page("pages/fairness.py", title="Fairness", icon=":material/balance:"),
], position="top").run()
