"""The dashboard: pages over the same services as the API, no logic of its own.

Every page is whole without a script; scripts only keep it current, draw charts and save clicks. Nothing is fetched from
anywhere but this service.
"""
