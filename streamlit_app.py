"""The app: which pages there are, and for whom. `streamlit run streamlit_app.py`."""

import streamlit as st

from derm.ui import auth, routing

st.set_page_config(page_title="Derm", page_icon=":material/dermatology:", layout="wide")
pages = [
    st.Page("pages/diagnose.py", title="Diagnose", icon=":material/dermatology:", default=True),
    st.Page("pages/explore.py", title="Explore", icon=":material/grid_view:"),
    st.Page("pages/fairness.py", title="Fairness", icon=":material/balance:"),
    st.Page("pages/models.py", title="Models", icon=":material/inventory_2:"),
]
if auth.is_staff():
    pages.append(st.Page("pages/train.py", title="Train", icon=":material/model_training:"))
elif auth.can_sign_in():
    pages.append(st.Page(auth.sign_in, title="Staff", icon=":material/lock:", url_path="train"))
page = st.navigation(pages, position="top")
routing.arrived()
page.run()
