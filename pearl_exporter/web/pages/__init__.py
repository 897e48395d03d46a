"""The pages for people: Python prepares plain values, ``templates/`` lays them out."""
